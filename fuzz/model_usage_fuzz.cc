// Answers of a stranger into the reader of what model APIs say of their cost: what it finds must
// not depend on where the answer is cut, and stays within its bounds.
#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <string_view>

#include "audit/model_usage.h"

namespace {

using capsem::audit::ModelUsageReader;

struct Api {
  std::string_view host;
  std::string_view path;
};
constexpr std::array kApis = {
    Api{"api.anthropic.com", "/v1/messages"},
    Api{"api.openai.com", "/v1/chat/completions"},
    Api{"api.openai.com", "/v1/responses"},
    Api{"generativelanguage.googleapis.com", "/v1beta/models/m:streamGenerateContent"},
};

std::optional<capsem::audit::ModelUsage> read(const Api& api, std::string_view type,
                                              std::string_view answer, std::size_t piece) {
  auto reader = ModelUsageReader::create(
      {.host = api.host, .path = api.path, .content_type = type, .content_encoding = ""});
  while (!answer.empty()) {
    auto part = answer.substr(0, piece);
    reader->feed(part);
    answer.remove_prefix(part.size());
  }
  return reader->usage();
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  if (size < 2) return 0;
  const auto& api = kApis.at(data[0] % kApis.size());
  auto type = data[0] & 0x80 ? "text/event-stream" : "application/json";
  std::string_view answer(reinterpret_cast<const char*>(data) + 2, size - 2);
  auto whole = read(api, type, answer, answer.size());
  if (whole != read(api, type, answer, 1 + data[1] % 16)) std::abort();
  if (whole && (whole->tools.size() > 64 || whole->model.size() > 128)) std::abort();
  return 0;
}
