// Reads the keys of one TOML table, and remembers the first thing that is wrong with it. Only for
// parse.cc, which alone knows TOML.
#pragma once

#include <algorithm>
#include <array>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/text.h"
#include "base/toml.h"

namespace capsem::manifest {

class TableReader {
 public:
  TableReader(const toml::table& table, std::string file) : table_(table), file_(std::move(file)) {}

  template <std::size_t N>
  void allow_keys(const std::array<std::string_view, N>& keys, std::string_view what) {
    for (const auto& [key, node] : table_) {
      if (std::ranges::find(keys, key.str()) != keys.end()) continue;
      std::string known;
      for (auto name : keys) known += (known.empty() ? "" : ", ") + std::string(name);
      refuse(key.source(), "the key '" + printable(key.str()) + "' is not known",
             "the keys of " + std::string(what) + " are " + known);
    }
  }

  std::optional<std::string> text(std::string_view key, std::string_view example) {
    return value<std::string>(key, "a string", example);
  }
  std::optional<std::int64_t> number(std::string_view key, std::string_view example) {
    return value<std::int64_t>(key, "a whole number", example);
  }
  std::optional<bool> boolean(std::string_view key) {
    return value<bool>(key, "true or false", "true");
  }
  std::optional<std::vector<std::string>> texts(std::string_view key, std::string_view example) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    const auto* array = node->as_array();
    std::vector<std::string> list;
    if (array != nullptr)
      for (const auto& item : *array)
        if (auto item_text = item.value<std::string>()) list.push_back(*item_text);
    if (array == nullptr || list.size() != array->size()) {
      refuse(node->source(), quoted(key) + " is not a list of strings",
             "write " + std::string(key) + " = " + std::string(example));
      return std::nullopt;
    }
    return list;
  }
  // One number, or a list of them.
  std::vector<std::int64_t> numbers(std::string_view key, std::string_view example) {
    const auto* node = table_.get(key);
    if (node == nullptr) return {};
    const auto* array = node->as_array();
    std::vector<std::int64_t> list;
    if (auto one = node->value_exact<std::int64_t>()) list.push_back(*one);
    if (array != nullptr)
      for (const auto& item : *array)
        if (auto number = item.value_exact<std::int64_t>()) list.push_back(*number);
    if (list.empty() || (array != nullptr && list.size() != array->size()))
      refuse(node->source(), quoted(key) + " is not a whole number or a list of them",
             "write " + std::string(key) + " = " + std::string(example));
    return list;
  }
  const toml::table* table(std::string_view key) {
    const auto* node = table_.get(key);
    if (node != nullptr && !node->is_table())
      refuse(node->source(), quoted(key) + " is not a table",
             "write " + std::string(key) + " = { ... }");
    return node != nullptr ? node->as_table() : nullptr;
  }

  void refuse(const toml::source_region& source, std::string reason, std::string advice) {
    if (error_) return;
    error_ = Error("read", at(source), std::move(reason), std::move(advice), ErrorKind::kInvalid);
  }
  void refuse_key(std::string_view key, std::string reason, std::string advice) {
    const auto* node = table_.get(key);
    refuse(node != nullptr ? node->source() : table_.source(), std::move(reason),
           std::move(advice));
  }
  void adopt(Result<> result) {
    if (!result && !error_) error_ = std::move(result).error();
  }

  std::string at(const toml::source_region& source) const {
    return file_ + ":" + std::to_string(source.begin.line);
  }
  std::string at_key(std::string_view key) const {
    const auto* node = table_.get(key);
    return at(node != nullptr ? node->source() : table_.source());
  }
  std::optional<Error>& error() { return error_; }

 private:
  static std::string quoted(std::string_view key) { return "'" + std::string(key) + "'"; }

  template <class T>
  std::optional<T> value(std::string_view key, std::string_view type, std::string_view example) {
    const auto* node = table_.get(key);
    if (node == nullptr) return std::nullopt;
    auto found = node->value_exact<T>();
    if (!found)
      refuse(node->source(), quoted(key) + " is not " + std::string(type),
             "write " + std::string(key) + " = " + std::string(example));
    return found;
  }

  const toml::table& table_;
  std::string file_;
  std::optional<Error> error_;
};

}  // namespace capsem::manifest
