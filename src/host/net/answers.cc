#include "host/net/answers.h"

#include "host/net/network.h"

namespace capsem::host::net {

void Answers::add(std::string_view name, std::span<const Address> addresses,
                  std::chrono::seconds ttl, Time now) {
  while (!ends_.empty() && ends_.begin()->first <= now) remove_first_to_end();
  for (const auto& address : addresses)
    add_one({plain(address), std::string(name)}, now + ttl + kGrace);
}

void Answers::add_one(const Key& key, Time end) {
  auto found = answers_.find(key);
  if (found != answers_.end()) {
    if (found->second->first >= end) return;
    ends_.erase(found->second);
    answers_.erase(found);
  }
  if (answers_.size() >= max_answers_) remove_first_to_end();
  answers_.emplace(key, ends_.emplace(end, key));
}

void Answers::remove_first_to_end() {
  answers_.erase(ends_.begin()->second);
  ends_.erase(ends_.begin());
}

bool Answers::given(std::string_view name, const Address& address, Time now) const {
  auto found = answers_.find({plain(address), std::string(name)});
  return found != answers_.end() && now < found->second->first;
}

std::vector<std::string> Answers::names_of(const Address& address, Time now) const {
  std::vector<std::string> names;
  const auto wanted = plain(address);
  for (auto at = answers_.lower_bound({wanted, std::string()});
       at != answers_.end() && at->first.first == wanted; ++at) {
    if (now < at->second->first) names.push_back(at->first.second);
  }
  return names;
}

}  // namespace capsem::host::net
