#include "host/net/policy_table.h"

#include <algorithm>

#include "base/text.h"
#include "host/net/nearest_word.h"

namespace capsem::host::net {
namespace {

std::string quoted(std::string_view key) {
  return "'" + std::string(key) + "'";
}

std::string write(std::string_view key, std::string_view example) {
  return "write " + std::string(key) + " = " + std::string(example);
}

}  // namespace

bool has_control_character(std::string_view text) {
  return std::ranges::any_of(text, [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

void PolicyTable::allow_keys(std::span<const std::string_view> keys, std::string_view what) {
  for (const auto& [key, node] : table_)
    if (std::ranges::find(keys, key.str()) == keys.end())
      refuse(key.source(), std::string(what) + " has no key '" + printable(key.str()) + "'",
             advice_on_word(key.str(), keys));
}

std::optional<std::string> PolicyTable::text(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  auto found = node->value_exact<std::string>();
  if (!found) refuse(node->source(), quoted(key) + " is not a string", write(key, example));
  return found;
}

std::optional<std::int64_t> PolicyTable::number(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  if (node == nullptr) return std::nullopt;
  auto found = node->value_exact<std::int64_t>();
  if (!found) refuse(node->source(), quoted(key) + " is not a number", write(key, example));
  return found;
}

std::vector<std::string> PolicyTable::texts_of(std::string_view key, const toml::node& node,
                                               std::string_view type, std::string_view example) {
  const auto* array = node.as_array();
  std::vector<std::string> found;
  if (array != nullptr)
    for (const auto& item : *array)
      if (auto text = item.value_exact<std::string>()) found.push_back(std::move(*text));
  if (array == nullptr || found.size() != array->size())
    refuse(node.source(), quoted(key) + " is not " + std::string(type), write(key, example));
  return found;
}

std::vector<std::string> PolicyTable::list(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  if (node == nullptr) return {};
  return texts_of(key, *node, "a list of strings", example);
}

std::vector<std::string> PolicyTable::texts(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  if (node == nullptr) return {};
  if (auto one = node->value_exact<std::string>()) return {*one};
  auto found = texts_of(key, *node, "a string or a list of them", example);
  // It might be meant as "none" or as "any".
  if (found.empty()) refuse(node->source(), quoted(key) + " is empty", write(key, example));
  return found;
}

std::vector<PolicyTable> PolicyTable::tables(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  std::vector<PolicyTable> found;
  if (node == nullptr) return found;
  if (const auto* one = node->as_table()) found.emplace_back(*one, file_);
  const auto* array = node->as_array();
  if (array != nullptr)
    for (const auto& item : *array)
      if (const auto* table = item.as_table()) found.emplace_back(*table, file_);
  if (found.empty() || (array != nullptr && found.size() != array->size()))
    refuse(node->source(), quoted(key) + " is not a table or a list of them", write(key, example));
  return found;
}

PolicyTable::Ports PolicyTable::ports(std::string_view key, std::string_view example) {
  const auto* node = table_.get(key);
  Ports ports;
  if (node == nullptr) return ports;
  if (auto word = node->value_exact<std::string>()) {
    ports.word = std::move(*word);
    return ports;
  }
  const auto* array = node->as_array();
  if (auto one = node->value_exact<std::int64_t>()) ports.numbers.push_back(*one);
  if (array != nullptr)
    for (const auto& item : *array)
      if (auto number = item.value_exact<std::int64_t>()) ports.numbers.push_back(*number);
  if (ports.numbers.empty() || (array != nullptr && ports.numbers.size() != array->size()))
    refuse(node->source(), quoted(key) + " is not a number or a list of them", write(key, example));
  return ports;
}

std::string PolicyTable::place_of(std::string_view key) const {
  const auto* node = table_.get(key);
  return at(node != nullptr ? node->source() : table_.source());
}

void PolicyTable::refuse(const toml::source_region& source, std::string reason,
                         std::string advice) {
  if (!error_)
    error_.emplace("read", at(source), std::move(reason), std::move(advice), ErrorKind::kInvalid);
}

void PolicyTable::refuse_key(std::string_view key, std::string reason, std::string advice) {
  const auto* node = table_.get(key);
  refuse(node != nullptr ? node->source() : table_.source(), std::move(reason), std::move(advice));
}

void PolicyTable::refuse_key(std::string_view key, const Error& error) {
  refuse_key(key, error.subject() + ": " + error.reason(), error.advice());
}

}  // namespace capsem::host::net
