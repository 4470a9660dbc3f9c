// Which rules may concern a host, found without looking at the others: by its name, by each name
// above it, and by the networks that hold its address.
#pragma once

#include <boost/container/small_vector.hpp>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "host/net/policy_rule.h"

namespace capsem::host::net {

using RuleNumbers = std::vector<std::uint32_t>;  // rising

// Several lists of rules as one, in the order of the rules.
class RuleMerge {
 public:
  void add(std::span<const std::uint32_t> list) {
    if (!list.empty()) lists_.push_back(list);
  }
  std::optional<std::uint32_t> next();

 private:
  // A host name has few labels, and few rules are for networks of different lengths.
  static constexpr std::size_t kUsual = 16;
  boost::container::small_vector<std::span<const std::uint32_t>, kUsual> lists_;
};

class PolicyIndex {
 public:
  explicit PolicyIndex(std::span<const Rule> rules);

  // The rules that have a pattern for the name, if it is not empty, or for the address, if there is
  // one. Of those that allow something, "*" is for names alone, and a network for addresses that
  // it is narrow enough for (least_length()).
  RuleMerge find(std::string_view name, const std::optional<Address>& address) const;
  // Those that have a network for the address.
  RuleMerge find_networks(const Address& address) const;

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const {
      return std::hash<std::string_view>()(text);
    }
    std::size_t operator()(const AddressBytes& bytes) const {
      return (*this)({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    }
  };
  using ByName = std::unordered_map<std::string, RuleNumbers, Hash, std::equal_to<>>;
  struct Length {
    unsigned length;
    std::unordered_map<AddressBytes, RuleNumbers, Hash> networks;
  };
  struct Networks {
    std::vector<Length> v4;
    std::vector<Length> v6;

    void add(const Network& network, std::uint32_t rule);
    void find(const Address& address, unsigned least, RuleMerge& found) const;
  };

  void add(const HostPattern& pattern, Action action, std::uint32_t rule);

  RuleNumbers any_;
  RuleNumbers any_denied_;
  ByName names_;
  ByName below_;
  Networks allowed_;
  Networks denied_;
};

}  // namespace capsem::host::net
