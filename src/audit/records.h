// What the monitor writes down of a guest's network: names asked, connections, requests. Never the
// value of a header, nor a body. Text may be as the guest sent it: the store bounds it and makes it
// safe to print.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <variant>
#include <vector>

namespace capsem::audit {

using TimePoint = std::chrono::system_clock::time_point;
using std::chrono::microseconds;

// Who asked, as far as the guest's kernel knew; host/net/flow.h has the same.
struct Process {
  std::uint32_t pid = 0;  // 0 when it could not be found
  std::uint32_t uid = 0;
  std::string executable;  // empty when it could not be found
  bool operator==(const Process&) const = default;
};

enum class Decision { kDenied, kPassed, kInspected };

// What decided, and how. `rule` is its name, or "no rule".
struct Judgement {
  Decision decision = Decision::kDenied;
  std::string rule;
  bool operator==(const Judgement&) const = default;
};

enum class NameResult {
  kAnswered,
  kNotFound,  // NXDOMAIN, or no record of that type
  kFailed,    // SERVFAIL, or no answer from upstream
  kRefused,   // by the policy, or because its addresses may not be connected to
  kLimited,   // more than a guest may ask
};

struct NameAsked {
  TimePoint at;
  std::string name;
  std::string type;  // "A", "AAAA", "HTTPS", or "TYPE64" (RFC 3597)
  NameResult result = NameResult::kRefused;
  Judgement judgement;
  Process process;
  bool operator==(const NameAsked&) const = default;
};

enum class Ending {
  kOpen,       // it goes on; the same id comes again at its end
  kDone,       // both sides have closed it
  kReset,      // one of them broke it off
  kFailed,     // upstream could not be connected to, or its certificate is not good
  kRefused,    // by the policy, before it was connected
  kWithdrawn,  // the policy has changed
  kTimedOut,
  kStopped,  // the VM has ended
  kLost,     // the monitor ended before it could say; written by who opens the file next
};

struct Connection {
  std::uint64_t id = 0;  // of Sink::new_connection()
  TimePoint begin;
  microseconds duration{};
  std::string address;
  std::uint16_t port = 0;
  std::string server_name;  // of the TLS hello, or of the first request; empty when there was none
  Process process;
  Judgement judgement;
  std::uint64_t sent_bytes = 0;      // from the guest
  std::uint64_t received_bytes = 0;  // to the guest
  Ending ending = Ending::kOpen;
  std::string reason;  // in words, of an ending that needs them
  bool operator==(const Connection&) const = default;
};

// What a model API's answer said of itself.
struct ModelUsage {
  std::string provider;  // "anthropic", "openai", "google"
  std::string model;
  std::uint64_t input_tokens = 0;         // all of them, cached ones included
  std::uint64_t cached_input_tokens = 0;  // those of input_tokens that a cache had
  std::uint64_t output_tokens = 0;        // reasoning included
  std::vector<std::string> tools;         // names of the tools it called, each once
  bool operator==(const ModelUsage&) const = default;
};

struct Request {
  std::uint64_t connection = 0;  // that it came on
  TimePoint begin;
  microseconds duration{};
  Process process;
  std::string scheme;    // "http", "https"
  std::string protocol;  // as spoken with the guest: "HTTP/1.1", "HTTP/2"
  std::string host;
  std::uint16_t port = 0;
  std::string method;
  std::string path;     // as the guest sent it, with its query
  unsigned status = 0;  // that the guest was given; 0 when it was given none
  Judgement judgement;
  std::uint64_t sent_bytes = 0;      // of the request's body
  std::uint64_t received_bytes = 0;  // of the answer's
  std::string reason;                // why it was denied, or broke off
  std::optional<ModelUsage> usage;
  bool operator==(const Request&) const = default;
};

// Records that came faster than they could be written, which the store counts and leaves out.
struct Dropped {
  TimePoint at;
  std::uint64_t records = 0;
  bool operator==(const Dropped&) const = default;
};

using Record = std::variant<NameAsked, Connection, Request, Dropped>;

}  // namespace capsem::audit
