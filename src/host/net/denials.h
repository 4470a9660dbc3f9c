// What the guest was refused, for who wants to know why something does not work: each thing once,
// with how often and how it would be allowed. Bounded, whatever the guest asks for.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <string>
#include <tuple>

#include "host/net/flow.h"
#include "host/net/policy_explain.h"

namespace capsem::host::net {

struct Denial {
  std::string what;    // "example.org:443", "GET http://example.org/x", "the name example.org"
  std::string reason;  // in words
  std::string option;  // for the command line, that would allow it; may be empty
  std::string rule;    // TOML, that would allow it; may be empty
  Process process;     // the last one
  std::uint64_t count = 0;

  // In one line, safe to print.
  std::string text() const;
};

// "example.org:443", "GET example.org:443/x", safe to print and not longer than a screen has lines
// for.
std::string what_of(const Question& question);
std::string what_of_name(const std::string& name);
// Safe to print, and of at most 256 bytes.
std::string shortened(std::string text);

class Denials {
 public:
  static constexpr std::size_t kMaxDenials = 256;  // the one that was longest ago goes
  // The same thing is told of again only after this time.
  static constexpr std::chrono::seconds kQuiet{60};

  using Clock = std::chrono::steady_clock;
  using Tell = std::function<void(const Denial& denial)>;
  explicit Denials(Tell tell) : tell_(std::move(tell)) {}

  // Of what was asked for; `advice`: whether a rule would have allowed it.
  void add(const Question& question, std::string reason, bool advice, Clock::time_point now);
  void add_name(const std::string& name, std::string reason, Clock::time_point now);

  // The latest first.
  const std::list<Denial>& all() const { return denials_; }
  void clear();

 private:
  struct Known {
    std::list<Denial>::iterator place;
    Clock::time_point told;
  };
  void add(Denial denial, Clock::time_point now);

  Tell tell_;
  std::list<Denial> denials_;
  std::map<std::string, Known> by_what_;
};

}  // namespace capsem::host::net
