#include "base/json.h"

#include <nlohmann/json.hpp>

namespace capsem {
namespace {

template <class Json>
std::string dump(const Json& value, int indent) {
  return value.dump(indent, ' ', /*ensure_ascii=*/false, Json::error_handler_t::replace);
}

}  // namespace

std::string json_text(const nlohmann::json& value, int indent) {
  return dump(value, indent);
}

std::string json_text(const nlohmann::ordered_json& value, int indent) {
  return dump(value, indent);
}

std::string json_string(std::string_view text) {
  return dump(nlohmann::json(text), -1);
}

}  // namespace capsem
