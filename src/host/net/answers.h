// Which addresses the guest's resolver was given for which name, so that a connection to an address
// is known by the name it was asked for, and by no other.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "host/net/flow.h"

namespace capsem::host::net {

class Answers {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A client may connect some time after it asked, and many keep what they were told for longer
  // than its TTL says.
  static constexpr std::chrono::minutes kGrace{5};
  // The answer that ends first gives way to a new one, so a guest that asks for more loses its own.
  static constexpr std::size_t kMaxAnswers = 8192;

  explicit Answers(std::size_t max_answers = kMaxAnswers) : max_answers_(max_answers) {}

  // `name` in lower case, without a dot at the end. An IPv4 address written as IPv6
  // (::ffff:192.0.2.1) is the IPv4 address, here and below.
  void add(std::string_view name, std::span<const Address> addresses, std::chrono::seconds ttl,
           Time now);

  bool given(std::string_view name, const Address& address, Time now) const;

  // In alphabetical order.
  std::vector<std::string> names_of(const Address& address, Time now) const;

  std::size_t size() const { return answers_.size(); }

 private:
  using Key = std::pair<Address, std::string>;
  using Ends = std::multimap<Time, Key>;

  void add_one(const Key& key, Time end);
  void remove_first_to_end();

  std::size_t max_answers_;
  std::map<Key, Ends::iterator> answers_;
  Ends ends_;  // the same answers by their end
};

}  // namespace capsem::host::net
