// Reads the keys of one TOML table of a policy, and remembers the first thing that is wrong with
// it. Only for policy_read.cc and policy_read_secret.cc, which alone know TOML.
#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "base/toml.h"

namespace capsem::host::net {

bool has_control_character(std::string_view text);

class PolicyTable {
 public:
  PolicyTable(const toml::table& table, const std::string& file) : table_(table), file_(file) {}

  // `what` has the keys: "a rule".
  void allow_keys(std::span<const std::string_view> keys, std::string_view what);

  // The tables of the key, which has one or a list of at least one.
  std::vector<PolicyTable> tables(std::string_view key, std::string_view example);
  // Takes over what is wrong with a table in it.
  void refuse_as(const PolicyTable& inner) {
    if (!error_) error_ = inner.error_;
  }

  bool has(std::string_view key) const { return table_.contains(key); }
  std::optional<std::string> text(std::string_view key, std::string_view example);
  std::optional<std::int64_t> number(std::string_view key, std::string_view example);
  // One string, or a list of at least one.
  std::vector<std::string> texts(std::string_view key, std::string_view example);
  // A list of strings, which may be empty.
  std::vector<std::string> list(std::string_view key, std::string_view example);
  // One number or string, or a list of numbers. Nothing when it is none of these.
  struct Ports {
    std::vector<std::int64_t> numbers;
    std::optional<std::string> word;
  };
  Ports ports(std::string_view key, std::string_view example);

  void refuse_key(std::string_view key, std::string reason, std::string advice);
  // With the reason and the advice of `error`, at the key.
  void refuse_key(std::string_view key, const Error& error);

  std::string place() const { return at(table_.source()); }
  std::string place_of(std::string_view key) const;
  const std::optional<Error>& error() const { return error_; }

 private:
  void refuse(const toml::source_region& source, std::string reason, std::string advice);
  std::vector<std::string> texts_of(std::string_view key, const toml::node& node,
                                    std::string_view type, std::string_view example);
  std::string at(const toml::source_region& source) const {
    return file_ + ":" + std::to_string(source.begin.line);
  }

  const toml::table& table_;
  const std::string& file_;
  std::optional<Error> error_;
};

}  // namespace capsem::host::net
