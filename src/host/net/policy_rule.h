// A rule of the policy, as it was written and checked, without what makes many of them fast.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/net/network.h"
#include "host/net/policy_pattern.h"
#include "host/net/policy_secret.h"

namespace capsem::host::net {

enum class Action { kAllow, kDeny };
enum class Tls { kPass, kInspect };

struct HostPattern {
  enum class Kind {
    kAny,      // "*"
    kName,     // "example.com"
    kBelow,    // "*.example.com": any name below it, and not itself
    kNetwork,  // "192.0.2.1", "10.0.0.0/8"
  };
  Kind kind = Kind::kAny;
  std::string name;  // of kName and kBelow, without "*."
  Network network;   // of kNetwork

  // The reason of the error says what is wrong with `text`, its advice how to write it.
  static Result<HostPattern> parse(std::string_view text);
  std::string text() const;
  bool operator==(const HostPattern&) const = default;
};

// Each list that is empty stands for anything, but for `hosts`, which is never empty.
struct Rule {
  std::string name;
  Action action = Action::kDeny;
  std::vector<HostPattern> hosts;
  std::vector<std::uint16_t> ports;
  std::vector<std::string> methods;
  std::vector<PathPattern> paths;
  std::vector<std::string> processes;  // patterns, see matches()
  Tls tls = Tls::kPass;
  std::vector<Secret> secrets;  // of the requests that it allows
  std::string from;             // the file and line, the option or the set that it comes from

  // Whether it takes a request to tell if it matches.
  bool needs_request() const { return !methods.empty() || !paths.empty(); }
  // Whether it matches all that goes to its hosts.
  bool unconditional() const { return ports.empty() && processes.empty() && !needs_request(); }
  bool operator==(const Rule&) const = default;
};

// The ports of a rule that allows something and names none: HTTP and HTTPS, with a secret HTTPS
// alone. A rule that denies something and names none is for all ports.
inline constexpr std::uint16_t kDefaultPorts[] = {80, 443};
inline constexpr std::uint16_t kSecretPorts[] = {443};

}  // namespace capsem::host::net
