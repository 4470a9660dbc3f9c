#include "host/net/name_limits.h"

#include <algorithm>

namespace capsem::host::net {
namespace {

// The place behind the dot before `end`; 0 when there is none.
std::size_t label_begin(std::string_view name, std::size_t end) {
  if (end == 0) return 0;
  const auto dot = name.rfind('.', end - 1);
  return dot == std::string_view::npos ? 0 : dot + 1;
}

}  // namespace

std::string_view NameLimits::domain_of(std::string_view name) {
  constexpr std::size_t kCountryBytes = 2;
  constexpr std::size_t kShortLabelBytes = 3;  // "co", "com", "ac", "gov"
  const auto last = label_begin(name, name.size());
  if (last == 0) return name;
  const auto second = label_begin(name, last - 1);
  if (second == 0) return name;
  const bool country = name.size() - last == kCountryBytes;
  if (!country || last - 1 - second > kShortLabelBytes) return name.substr(second);
  return name.substr(label_begin(name, second - 1));
}

NameLimits::Judgement NameLimits::admit(std::string_view name, Time now) {
  if (!take_token(now)) return Judgement::kTooFast;
  const auto key = domain_of(name);
  auto domain = domains_.find(key);
  if (domain != domains_.end() && domain->second.window_end <= now) {
    names_ -= domain->second.names.size();
    domains_.erase(domain);
    domain = domains_.end();
  }
  if (domain != domains_.end() && domain->second.names.contains(name)) return Judgement::kAdmitted;
  if (names_ >= options_.all_names) forget_ended(now);
  if (names_ >= options_.all_names) return Judgement::kTooMany;
  if (domain == domains_.end()) {
    domain = domains_.emplace(key, Domain{.window_end = now + options_.window, .names = {}}).first;
  }
  if (domain->second.names.size() >= options_.names_per_domain) return Judgement::kTooMany;
  domain->second.names.emplace(name);
  ++names_;
  return Judgement::kAdmitted;
}

bool NameLimits::take_token(Time now) {
  const std::chrono::duration<double> passed = now - filled_;
  filled_ = now;
  tokens_ = std::min(options_.burst, tokens_ + passed.count() * options_.names_per_second);
  if (tokens_ < 1) return false;
  tokens_ -= 1;
  return true;
}

void NameLimits::forget_ended(Time now) {
  std::erase_if(domains_, [&](const auto& entry) {
    if (entry.second.window_end > now) return false;
    names_ -= entry.second.names.size();
    return true;
  });
}

}  // namespace capsem::host::net
