// The messages of capsem.proto as plain structs. What the host sends and what the guest sends are
// different types, so that neither can be taken for the other.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <variant>
#include <vector>

#include "base/deployed.h"
#include "wire/protocol.h"

namespace capsem::wire {

using Environment = std::map<std::string, std::string>;

// ---- control

struct BootStep {
  std::string name;
  std::uint64_t start_us = 0;  // since the kernel started
  std::uint64_t duration_us = 0;
  bool operator==(const BootStep&) const = default;
};

// The first message of the control connection. When `protocol` is not kProtocol, the other fields
// were not read: they may mean something else there.
struct Hello {
  std::uint32_t protocol = kProtocol;
  std::vector<BootStep> steps;
  std::vector<DeployedEntry> entries;
  std::string kernel_release;
  std::uint64_t uptime_us = 0;
  std::string net_token;  // begins the connections of the service that carries the network
  bool operator==(const Hello&) const = default;
};

struct Heartbeat {
  std::uint64_t uptime_us = 0;
  bool operator==(const Heartbeat&) const = default;
};

// A boot step or the guest as a whole failed; one line.
struct Failure {
  std::string text;
  bool operator==(const Failure&) const = default;
};

// A service ended, was restarted or given up.
struct ServiceEvent {
  std::string name;
  std::string text;
  bool operator==(const ServiceEvent&) const = default;
};

struct Configuration {
  std::string hostname;
  std::string authority;  // PEM: whom sessions are to trust, since the host ends TLS in its name
  bool operator==(const Configuration&) const = default;
};

enum class ShutdownAction : std::uint32_t { kPoweroff, kReboot, kHalt };

// The guest ends the machine in order: its processes are asked to end, and killed when `grace_ms`
// are over.
struct Shutdown {
  ShutdownAction action = ShutdownAction::kPoweroff;
  std::uint32_t grace_ms = 0;
  bool operator==(const Shutdown&) const = default;
};

using GuestControl = std::variant<Hello, Heartbeat, Failure, ServiceEvent>;
using HostControl = std::variant<Configuration, Shutdown>;

// ---- the machine's end, as the guest asks for it

enum class LifecycleAction : std::uint32_t { kPoweroff, kReboot, kSuspend, kCancel, kShow };

struct LifecycleRequest {
  LifecycleAction action = LifecycleAction::kPoweroff;
  std::uint64_t delay_ms = 0;
  std::uint32_t grace_ms = 0;  // as in Shutdown
  std::string message;         // for those who are told of a delayed one
  bool operator==(const LifecycleRequest&) const = default;
};

struct LifecycleAnswer {
  bool accepted = false;
  std::string text;  // why not, or what is pending now
  bool operator==(const LifecycleAnswer&) const = default;
};

using GuestLifecycle = std::variant<LifecycleRequest>;
using HostLifecycle = std::variant<LifecycleAnswer>;

// ---- the network of sessions

inline constexpr std::size_t kNetTokenBytes = 32;

// The first message of a connection that carries one TCP connection of a session.
struct NetOpen {
  std::string token;    // as in Hello
  std::string address;  // that it was made to, 4 or 16 bytes in network order
  std::uint32_t port = 0;
  std::uint32_t pid = 0;  // of the process that made it, as the sessions know it; 0 when unknown
  std::uint32_t uid = 0;
  std::string executable;  // /proc/PID/exe
  bool operator==(const NetOpen&) const = default;
};

// The first message of a connection that carries DNS queries.
struct DnsOpen {
  std::string token;
  bool operator==(const DnsOpen&) const = default;
};

struct DnsQuery {
  std::uint32_t id = 0;
  std::string message;  // RFC 1035
  bool stream = false;  // it came over TCP, where an answer may be longer
  bool operator==(const DnsQuery&) const = default;
};

struct DnsAnswer {
  std::uint32_t id = 0;
  std::string message;  // empty when there is none
  bool operator==(const DnsAnswer&) const = default;
};

using GuestNet = std::variant<NetOpen>;
using GuestDns = std::variant<DnsOpen, DnsQuery>;
using HostDns = std::variant<DnsAnswer>;

// ---- sessions

struct TerminalSize {
  std::uint32_t rows = 0;
  std::uint32_t columns = 0;
  std::uint32_t x_pixels = 0;
  std::uint32_t y_pixels = 0;
  bool operator==(const TerminalSize&) const = default;
};

// The first message of a session: a command line for bash, or an argument list, or neither, which
// asks for a login shell. `protocol` as in Hello.
struct SessionStart {
  std::uint32_t protocol = kProtocol;
  std::optional<std::string> command_line;
  std::vector<std::string> argv;
  Environment environment;               // added to the guest's own
  std::string directory;                 // working directory; the user's home when empty
  std::optional<TerminalSize> terminal;  // absent: pipes, with stdout and stderr apart
  bool privileged = false;               // every capability, among the services' processes
  std::string id;                        // is_session_id(), or empty when it does not outlive
  std::uint32_t outlive_ms = 0;          // how long it goes on without a connection
  std::string user;                      // is_user(), or root when empty
  bool detachable = false;               // goes on without a host, until another one attaches to it
  bool operator==(const SessionStart&) const = default;
};

// The first message of a connection that goes on with a session; `protocol` as in Hello.
struct SessionResume {
  std::uint32_t protocol = kProtocol;
  std::string id;
  std::uint64_t received = 0;    // of the session's messages, so far
  std::uint32_t attachment = 0;  // as Attached has said
  bool operator==(const SessionResume&) const = default;
};

// The answer to SessionResume.
struct Resumed {
  std::uint64_t received = 0;  // of the session's messages, so far
  bool operator==(const Resumed&) const = default;
};

// The first message of a connection to show a detachable session on another terminal; `protocol` as
// in Hello.
struct SessionAttach {
  std::uint32_t protocol = kProtocol;
  std::string id;
  TerminalSize terminal;
  bool operator==(const SessionAttach&) const = default;
};

// The answer to SessionAttach, before the output that was kept.
struct Attached {
  std::uint32_t attachment = 0;    // how often the session was attached to or left, so far
  std::uint64_t unread_bytes = 0;  // of standard input from before, not granted back yet
  bool operator==(const Attached&) const = default;
};

// The last message to a host when another one has attached to the session.
struct TakenOver {
  bool operator==(const TakenOver&) const = default;
};

// The host goes; the session, which is detachable, goes on.
struct Detach {
  bool operator==(const Detach&) const = default;
};

// Asks for the sessions that can be attached to; `protocol` as in Hello.
struct SessionList {
  std::uint32_t protocol = kProtocol;
  bool operator==(const SessionList&) const = default;
};

struct RunningSession {
  std::string id;
  std::uint32_t pid = 0;    // in the pid namespace of its processes
  std::string command;      // the beginning of it; empty for a login shell
  std::uint64_t age_s = 0;  // since its start
  bool attached = false;
  bool operator==(const RunningSession&) const = default;
};

// The answer to SessionList.
struct Sessions {
  std::vector<RunningSession> sessions;
  bool operator==(const Sessions&) const = default;
};

// So many messages have arrived since the session began, and need not be kept; see SentMessages.
struct Received {
  std::uint64_t messages = 0;
  bool operator==(const Received&) const = default;
};

struct Stdin {
  std::string data;
  bool operator==(const Stdin&) const = default;
};

struct StdinEnd {
  bool operator==(const StdinEnd&) const = default;
};

struct Resize {
  TerminalSize size;
  bool operator==(const Resize&) const = default;
};

struct Signal {
  std::uint32_t number = 0;
  bool operator==(const Signal&) const = default;
};

enum class OutputStream : std::uint32_t { kStdout, kStderr };

// Nobody reads this stream on the host any more.
struct OutputClosed {
  OutputStream stream = OutputStream::kStdout;
  bool operator==(const OutputClosed&) const = default;
};

struct Started {
  std::uint32_t pid = 0;
  bool operator==(const Started&) const = default;
};

struct Stdout {
  std::string data;
  bool operator==(const Stdout&) const = default;
};

struct Stderr {
  std::string data;
  bool operator==(const Stderr&) const = default;
};

// The host may send this many more bytes of standard input, beyond kStdinWindowBytes at first.
struct StdinCredit {
  std::uint64_t bytes = 0;
  bool operator==(const StdinCredit&) const = default;
};

// The command reads its standard input no more.
struct StdinClosed {
  bool operator==(const StdinClosed&) const = default;
};

// The command ended; all of its output was sent before.
struct Exited {
  std::uint32_t code = 0;
  std::uint32_t signal = 0;  // the signal that ended it, or 0
  // Processes of the session that the guest's kernel killed because its memory was used up.
  std::uint32_t out_of_memory_kills = 0;
  bool operator==(const Exited&) const = default;
};

// The command could not be started, or the session not resumed.
struct Failed {
  std::uint32_t shell_code = 0;  // 127 not found, 126 not executable, 125 anything else
  std::string text;
  bool operator==(const Failed&) const = default;
};

struct VersionMismatch {
  std::uint32_t guest_protocol = 0;
  bool operator==(const VersionMismatch&) const = default;
};

// ---- transfers: the first message of a connection, from the host, says what it is for; after
// TransferReady it carries bytes, as capsem.proto describes them

// A tar archive into the guest's directory, or to the guest's path, `path`.
struct CopyIn {
  std::uint32_t protocol = kProtocol;  // as in Hello
  std::string path;                    // absolute, or below the home directory
  // What the archive's members are named by: all of them lie below it, and it becomes `path`, or
  // when that is a directory an item in there. Empty: the members are items of the directory.
  std::string name;
  bool keep_owners = false;  // else all belongs to root
  bool operator==(const CopyIn&) const = default;
};

// A tar archive of what is at `path` in the guest.
struct CopyOut {
  std::uint32_t protocol = kProtocol;  // as in Hello
  std::string path;                    // as in CopyIn
  std::string name;                    // what to call it in there; empty: only what it holds
  bool operator==(const CopyOut&) const = default;
};

// A connection to a TCP port of the guest's loopback interface.
struct ConnectPort {
  std::uint32_t protocol = kProtocol;  // as in Hello
  std::uint32_t number = 0;
  bool operator==(const ConnectPort&) const = default;
};

// The guest can do it; bytes follow.
struct TransferReady {
  std::uint64_t bytes = 0;  // of the file that is copied out, 0 when it is no single file
  bool operator==(const TransferReady&) const = default;
};

// All was copied.
struct TransferDone {
  std::uint64_t left_out = 0;  // items that are no file, directory or link
  bool operator==(const TransferDone&) const = default;
};

struct TransferFailed {
  std::string text;
  bool operator==(const TransferFailed&) const = default;
};

// ---- deploys: the entries of guest.toml, anew, into a guest that runs

// The first message; `protocol` as in Hello.
struct DeployStart {
  std::uint32_t protocol = kProtocol;
  bool operator==(const DeployStart&) const = default;
};

// What the guest runs, the init among it, and by which entry table: the answer to DeployStart.
struct DeployState {
  std::vector<DeployedEntry> entries;
  std::string table;
  bool operator==(const DeployState&) const = default;
};

// What it is to run: the entry table (manifest/table.h), and the hashes of the files of all its
// entries (manifest/sums.h).
struct DeploySet {
  std::string table;
  std::string sums;
  bool operator==(const DeploySet&) const = default;
};

// A directory, or a file whose content follows, of an entry that the guest does not have so.
struct DeployItem {
  std::vector<std::string> paths;  // absolute; more than one for the names of one file
  std::uint32_t mode = 0;
  bool directory = false;
  std::uint64_t bytes = 0;  // of the content
  bool operator==(const DeployItem&) const = default;
};

struct DeployData {
  std::string data;
  bool operator==(const DeployData&) const = default;
};

// All items were sent.
struct DeployEnd {
  bool operator==(const DeployEnd&) const = default;
};

struct RestartedService {
  std::string name;
  std::uint32_t pid = 0;
  bool operator==(const RestartedService&) const = default;
};

// The guest runs the new set.
struct DeployDone {
  std::vector<RestartedService> restarted;
  std::vector<std::string> problems;  // services that did not start
  bool operator==(const DeployDone&) const = default;
};

// The guest runs what it ran before.
struct DeployFailed {
  std::string text;
  bool operator==(const DeployFailed&) const = default;
};

// Of a Failed that answers SessionResume: there is no such session, and will be none.
inline constexpr std::uint32_t kNoSuchSession = 127;

using HostSession = std::variant<SessionStart, Stdin, StdinEnd, Resize, Signal, OutputClosed,
                                 SessionResume, Received, SessionAttach, SessionList, Detach>;
using GuestSession =
    std::variant<Started, Stdout, Stderr, StdinCredit, StdinClosed, Exited, Failed, VersionMismatch,
                 Resumed, Received, Attached, TakenOver, Sessions>;

using HostTransfer = std::variant<CopyIn, CopyOut, ConnectPort>;
using GuestTransfer = std::variant<TransferReady, TransferDone, TransferFailed, VersionMismatch>;

using HostDeploy = std::variant<DeployStart, DeploySet, DeployItem, DeployData, DeployEnd>;
using GuestDeploy = std::variant<DeployState, DeployDone, DeployFailed, VersionMismatch>;

// ---- what each envelope may hold

struct Kind {
  std::uint32_t number;     // field of the envelope
  std::string_view name;    // as errors call it
  std::size_t limit_bytes;  // of the encoded message, envelope included
};

// Room for the envelope and the fields around `data` or a text.
inline constexpr std::size_t kOverheadBytes = 64;
inline constexpr std::size_t kTextBytes = 4096;
inline constexpr std::size_t kPathBytes = 4096;  // PATH_MAX

// One row for each alternative of the variant, in its order.
template <class Envelope>
inline constexpr std::array<Kind, 0> kKinds = {};

template <>
inline constexpr std::array<Kind, 4> kKinds<GuestControl> = {{
    {1, "Hello", 64 << 10},
    {2, "Heartbeat", kOverheadBytes},
    {3, "Failure", kTextBytes + kOverheadBytes},
    {4, "ServiceEvent", kTextBytes + kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 2> kKinds<HostControl> = {{
    {1, "Configuration", 256 << 10},
    {2, "Shutdown", kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 1> kKinds<GuestLifecycle> = {{
    {1, "LifecycleRequest", kTextBytes + kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 1> kKinds<HostLifecycle> = {{
    {1, "LifecycleAnswer", kTextBytes + kOverheadBytes},
}};

inline constexpr std::size_t kDnsQueryBytes = 4096;
inline constexpr std::size_t kDnsAnswerBytes = 64 << 10;  // its length over TCP has two bytes

template <>
inline constexpr std::array<Kind, 1> kKinds<GuestNet> = {{
    {1, "NetOpen", kNetTokenBytes + kPathBytes + 2 * kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 2> kKinds<GuestDns> = {{
    {1, "DnsOpen", kNetTokenBytes + kOverheadBytes},
    {2, "DnsQuery", kDnsQueryBytes + kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 1> kKinds<HostDns> = {{
    {1, "DnsAnswer", kDnsAnswerBytes + kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 11> kKinds<HostSession> = {{
    {1, "SessionStart", 1 << 20},
    {2, "Stdin", kDataBytes + kOverheadBytes},
    {3, "StdinEnd", kOverheadBytes},
    {4, "Resize", kOverheadBytes},
    {5, "Signal", kOverheadBytes},
    {6, "OutputClosed", kOverheadBytes},
    {7, "SessionResume", kMaxSessionIdBytes + kOverheadBytes},
    {8, "Received", kOverheadBytes},
    {9, "SessionAttach", kMaxSessionIdBytes + kOverheadBytes},
    {10, "SessionList", kOverheadBytes},
    {11, "Detach", kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 13> kKinds<GuestSession> = {{
    {1, "Started", kOverheadBytes},
    {2, "Stdout", kDataBytes + kOverheadBytes},
    {3, "Stderr", kDataBytes + kOverheadBytes},
    {4, "StdinCredit", kOverheadBytes},
    {5, "StdinClosed", kOverheadBytes},
    {6, "Exited", kOverheadBytes},
    {7, "Failed", kTextBytes + kOverheadBytes},
    {8, "VersionMismatch", kOverheadBytes},
    {9, "Resumed", kOverheadBytes},
    {10, "Received", kOverheadBytes},
    {11, "Attached", kOverheadBytes},
    {12, "TakenOver", kOverheadBytes},
    {13, "Sessions", 128 << 10},
}};

template <>
inline constexpr std::array<Kind, 3> kKinds<HostTransfer> = {{
    {1, "CopyIn", 2 * kPathBytes + kOverheadBytes},
    {2, "CopyOut", 2 * kPathBytes + kOverheadBytes},
    {3, "ConnectPort", kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 4> kKinds<GuestTransfer> = {{
    {1, "TransferReady", kOverheadBytes},
    {2, "TransferDone", kOverheadBytes},
    {3, "TransferFailed", kTextBytes + kOverheadBytes},
    {4, "VersionMismatch", kOverheadBytes},
}};

// As many paths as a DeployItem may have, however long each is.
inline constexpr std::size_t kMostItemPaths = 16;

// A table of entries, and hashes of their files, that a DeploySet may have.
inline constexpr std::size_t kTableBytes = 1 << 20;
inline constexpr std::size_t kSumsBytes = 4 << 20;

template <>
inline constexpr std::array<Kind, 5> kKinds<HostDeploy> = {{
    {1, "DeployStart", kOverheadBytes},
    {2, "DeploySet", kTableBytes + kSumsBytes + kOverheadBytes},
    {3, "DeployItem", kMostItemPaths*(kPathBytes + 8) + kOverheadBytes},
    {4, "DeployData", kDataBytes + kOverheadBytes},
    {5, "DeployEnd", kOverheadBytes},
}};

template <>
inline constexpr std::array<Kind, 4> kKinds<GuestDeploy> = {{
    {1, "DeployState", kTableBytes + (256 << 10)},
    {2, "DeployDone", 64 << 10},
    {3, "DeployFailed", kTextBytes + kOverheadBytes},
    {4, "VersionMismatch", kOverheadBytes},
}};

// The largest message an envelope may hold.
template <class Envelope>
constexpr std::size_t limit_bytes() {
  std::size_t largest = 0;
  for (const Kind& kind : kKinds<Envelope>)
    if (kind.limit_bytes > largest) largest = kind.limit_bytes;
  return largest;
}

// `text` shortened to what Failure, ServiceEvent and Failed may carry together with a short name.
inline std::string clipped(std::string text) {
  if (text.size() > kTextBytes - 256) text.resize(kTextBytes - 256);
  return text;
}

}  // namespace capsem::wire
