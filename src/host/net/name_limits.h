// Limits on the names that leave the host for the guest: each name that is asked carries bytes of
// the guest's choice to whoever answers for its domain, so their rate and their number are bounded.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <set>
#include <string>
#include <string_view>

namespace capsem::host::net {

struct NameLimitOptions {
  double names_per_second = 50;
  double burst = 300;  // what a package manager asks for at once, many times over
  // Different names below one domain within a window. With these 108 bytes a second can be carried
  // out to a domain whose names are allowed by a pattern; the same name again carries nothing.
  std::size_t names_per_domain = 256;
  std::chrono::seconds window{600};
  std::size_t all_names = 8192;  // that are remembered, of all domains
};

class NameLimits {
 public:
  using Time = std::chrono::steady_clock::time_point;

  explicit NameLimits(const NameLimitOptions& options)
      : options_(options), tokens_(options.burst) {}

  enum class Judgement { kAdmitted, kTooFast, kTooMany };
  // Counts `name` as asked now, when it is admitted.
  Judgement admit(std::string_view name, Time now);

  // The part of `name` that its names are counted below: two labels, three where the last two are
  // those of a country ("co.uk"). Where that joins several owners they share a limit.
  static std::string_view domain_of(std::string_view name);

 private:
  struct Domain {
    Time window_end;
    std::set<std::string, std::less<>> names;
  };

  bool take_token(Time now);
  void forget_ended(Time now);

  NameLimitOptions options_;
  double tokens_;
  Time filled_{};
  std::map<std::string, Domain, std::less<>> domains_;
  std::size_t names_ = 0;
};

}  // namespace capsem::host::net
