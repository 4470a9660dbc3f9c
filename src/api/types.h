// What the monitor's HTTP interface speaks of, as plain structs. openapi.json describes the same
// for people and programs; json.h is the way between the two.
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/deployed.h"
#include "base/error.h"

namespace capsem::api {

// A VM's life, in its order; none comes back.
enum class State { kStarting, kRunning, kStopping, kEnded };

// How it came to its end.
enum class EndKind {
  kStopped,     // it was asked to by its owner
  kPoweredOff,  // by the guest
  kRebooted,    // by the guest, which ends it too
  kFailed,      // by itself; the error says why
};

struct End {
  EndKind kind = EndKind::kStopped;
  std::optional<Error> error;  // of kFailed
};

// Something that took its time; in microseconds of the host's CLOCK_MONOTONIC.
struct Span {
  std::string name;
  std::uint64_t begin_us = 0;
  std::uint64_t end_us = 0;
  bool operator==(const Span&) const = default;
};

// A step of PID 1, in microseconds since the guest's kernel started.
struct BootStep {
  std::string name;
  std::uint64_t start_us = 0;
  std::uint64_t duration_us = 0;
  bool operator==(const BootStep&) const = default;
};

// What the guest said of itself when it had booted.
struct Guest {
  std::vector<BootStep> steps;
  std::vector<DeployedEntry> entries;  // as of the last deploy
  std::string kernel_release;
  std::uint64_t uptime_us = 0;   // when it sent its hello, by its own clock
  std::uint64_t started_us = 0;  // QEMU ran, by the host's CLOCK_MONOTONIC
  std::uint64_t arrived_us = 0;  // the hello arrived, by the same clock
  bool operator==(const Guest&) const = default;
};

// What executes the guest, and why it is not KVM where it is not.
struct Accelerator {
  std::string name;  // kvm or tcg
  std::string reason;
  bool fresh = false;  // the reason was found just now, not remembered
  bool operator==(const Accelerator&) const = default;
};

// GET /v1/vm
struct Vm {
  State state = State::kStarting;
  std::optional<Accelerator> accelerator;  // once it is known
  // For sessions, beside what their user wants: placeholders of secrets (docs/network.md).
  std::map<std::string, std::string> environment;
  std::vector<Span> timeline;  // what the monitor did until the VM ran
  std::optional<Guest> guest;  // once it has booted
  std::optional<End> end;      // once it has ended
};

enum class EventKind {
  kState,    // the VM is in another state: the text is its name
  kService,  // a service in the guest ended, was restarted or given up
  kWarning,  // something the user should know of
  kDenied,   // the network refused what the guest asked for
};

// GET /v1/events
struct Event {
  std::uint64_t sequence = 0;  // from 1 on, without a gap but for `dropped`
  std::uint64_t dropped = 0;   // how many before this one were not kept
  std::uint64_t at_us = 0;     // CLOCK_MONOTONIC
  EventKind kind = EventKind::kWarning;
  std::string text;  // one line, safe to print
  bool operator==(const Event&) const = default;
};

// Something that the network refused the guest, in GET /v1/denials.
struct Denial {
  std::string what;  // "example.org:443", "GET example.org:443/path", "the name example.org"
  std::string reason;
  std::string option;      // of 'capsem policy NAME', that would allow it; may be empty
  std::string rule;        // of a policy's file, that would; may be empty
  std::string executable;  // of the process that asked last; may be empty
  std::uint64_t count = 0;
  bool operator==(const Denial&) const = default;
};

// What the guest asked for and no rule decides, in GET /v1/questions.
struct Question {
  std::uint64_t id = 0;    // 0: nothing is asked now
  std::string what;        // as in Denial
  std::string executable;  // of the process that asks; may be empty
  std::string rule;        // of a policy's file, that would allow it; may be empty
  bool operator==(const Question&) const = default;
};

// The body of POST /v1/questions.
struct Answer {
  std::uint64_t id = 0;
  bool allowed = false;
  bool operator==(const Answer&) const = default;
};

// The body of every answer that is no success.
struct Failure {
  Error error;
  std::vector<std::string> console;  // the guest's last lines, where they say more
};

// The body of POST /v1/stop, which may be left out: how long the guest's processes have to end by
// themselves.
struct Stop {
  static constexpr std::uint32_t kMaxGraceMs = 3'600'000;

  std::uint32_t grace_ms = 10'000;
  bool operator==(const Stop&) const = default;
};

// The disk that keeps what the sessions of a VM with a name write: an ext4 file system in a sparse
// file of its directory (vm_record.h).
struct Disk {
  static constexpr std::uint64_t kMinBytes = std::uint64_t{64} << 20;  // below, ext4 has no journal
  static constexpr std::uint64_t kMaxBytes = std::uint64_t{4} << 40;
  static constexpr std::uint64_t kDefaultBytes = std::uint64_t{8} << 30;

  std::uint64_t size_bytes = kDefaultBytes;
  std::string uuid;  // of the file system, by which it is known again
  bool operator==(const Disk&) const = default;
};

// What a monitor is to start: the first message on its lease, with the descriptors of lease.h
// behind it.
struct Start {
  std::string accelerator = "auto";  // auto, kvm or tcg
  std::uint64_t memory_bytes = std::uint64_t{1} << 30;
  std::uint32_t cpus = 1;
  std::uint64_t boot_limit_ms = 60'000;
  std::string hostname = "capsem";
  std::string cache_directory;  // where the accelerator's verdict is remembered
  std::optional<Disk> disk;     // without one, what is written is gone with the VM
  bool operator==(const Start&) const = default;
};

}  // namespace capsem::api
