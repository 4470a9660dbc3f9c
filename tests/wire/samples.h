// One message of every kind with every field set, beside the same in protobuf's text format.
#pragma once

#include <string>
#include <vector>

#include "base/fd.h"
#include "wire/messages.h"

namespace capsem::wire {

template <class Envelope>
struct Sample {
  Envelope message;
  std::string text;
};

template <class Envelope>
std::vector<Sample<Envelope>> samples();

template <>
inline std::vector<Sample<GuestControl>> samples() {
  return {
      {Hello{.steps = {{"mounts", 120'000, 3'500}, {"modules", 123'500, 90'000}},
             .entries = {{"capsem-doctor", Origin::kInitrd, sha256(as_bytes("abc"))},
                         {"diagnostics", Origin::kRootfs, Digest{}},
                         {"snapshots", Origin::kAbsent}},
             .kernel_release = "6.1.0-44-cloud-amd64",
             .uptime_us = 1'234'567'890'123,
             .net_token = "t\xff"},
       R"(hello { protocol: 6
            steps { name: "mounts" start_us: 120000 duration_us: 3500 }
            steps { name: "modules" start_us: 123500 duration_us: 90000 }
            entries { name: "capsem-doctor" origin: ORIGIN_INITRD sha256:
              "\272x\026\277\217\001\317\352AA@\336]\256\"#"
              "\260\003a\243\226\027z\234\264\020\377a\362\000\025\255" }
            entries { name: "diagnostics" origin: ORIGIN_ROOTFS sha256:
              "\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000"
              "\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000\000" }
            entries { name: "snapshots" }
            kernel_release: "6.1.0-44-cloud-amd64" uptime_us: 1234567890123 net_token: "t\377" })"},
      {Heartbeat{.uptime_us = 300}, "heartbeat { uptime_us: 300 }"},
      {Failure{.text = "cannot mount /"}, R"(failure { text: "cannot mount /" })"},
      {ServiceEvent{.name = "net-proxy", .text = "ended"},
       R"(service_event { name: "net-proxy" text: "ended" })"},
  };
}

template <>
inline std::vector<Sample<HostControl>> samples() {
  return {
      {Configuration{.hostname = "capsem", .authority = "pem"},
       R"(configuration { hostname: "capsem" authority: "pem" })"},
      {Shutdown{.action = ShutdownAction::kHalt}, "shutdown { action: SHUTDOWN_HALT }"},
      {Shutdown{.action = ShutdownAction::kReboot, .grace_ms = 10'000},
       "shutdown { action: SHUTDOWN_REBOOT grace_ms: 10000 }"},
      {Shutdown{.action = ShutdownAction::kPoweroff}, "shutdown { }"},
  };
}

template <>
inline std::vector<Sample<GuestLifecycle>> samples() {
  return {
      {LifecycleRequest{.action = LifecycleAction::kReboot,
                        .delay_ms = 5'000'000'000,
                        .grace_ms = 10'000,
                        .message = "back soon"},
       R"(request { action: LIFECYCLE_REBOOT delay_ms: 5000000000 grace_ms: 10000
            message: "back soon" })"},
      {LifecycleRequest{.action = LifecycleAction::kShow}, "request { action: LIFECYCLE_SHOW }"},
  };
}

template <>
inline std::vector<Sample<HostLifecycle>> samples() {
  return {
      {LifecycleAnswer{.accepted = true}, "answer { accepted: true }"},
      {LifecycleAnswer{.text = "not yet"}, R"(answer { text: "not yet" })"},
  };
}

template <>
inline std::vector<Sample<GuestNet>> samples() {
  return {
      {NetOpen{.token = "t",
               .address = {"\x01\x02\x03\x04", 4},
               .port = 443,
               .pid = 17,
               .uid = 1000,
               .executable = "/usr/bin/curl"},
       R"(open { token: "t" address: "\001\002\003\004" port: 443 pid: 17 uid: 1000
            executable: "/usr/bin/curl" })"},
  };
}

template <>
inline std::vector<Sample<GuestDns>> samples() {
  return {
      {DnsOpen{.token = "t"}, R"(open { token: "t" })"},
      {DnsQuery{.id = 7, .message = "query", .stream = true},
       R"(query { id: 7 message: "query" stream: true })"},
  };
}

template <>
inline std::vector<Sample<HostDns>> samples() {
  return {
      {DnsAnswer{.id = 7, .message = "answer"}, R"(answer { id: 7 message: "answer" })"},
  };
}

template <>
inline std::vector<Sample<HostSession>> samples() {
  return {
      {SessionStart{.command_line = "exit 7",
                    .environment = {{"EMPTY", ""}, {"TERM", "xterm"}},
                    .directory = "/tmp",
                    .terminal = TerminalSize{24, 80, 640, 480}},
       R"(start { protocol: 6 command_line: "exit 7" environment { name: "EMPTY" }
            environment { name: "TERM" value: "xterm" } directory: "/tmp"
            terminal { rows: 24 columns: 80 x_pixels: 640 y_pixels: 480 } })"},
      {SessionStart{.argv = {"printf", "", "\xff\n"}},
       R"(start { protocol: 6 argv: "printf" argv: "" argv: "\377\n" })"},
      {SessionStart{.command_line = ""}, R"(start { protocol: 6 command_line: "" })"},
      {SessionStart{.terminal = TerminalSize{}}, R"(start { protocol: 6 terminal { } })"},
      {SessionStart{.privileged = true}, "start { protocol: 6 privileged: true }"},
      {Stdin{.data = std::string("a\0b", 3)}, R"(stdin { data: "a\000b" })"},
      {StdinEnd{}, "stdin_end { }"},
      {Resize{.size = {1, 2, 3, 4}},
       "resize { size { rows: 1 columns: 2 x_pixels: 3 y_pixels: 4 } }"},
      {Signal{.number = 15}, "signal { number: 15 }"},
      {OutputClosed{.stream = OutputStream::kStderr}, "output_closed { stream: OUTPUT_STDERR }"},
      {SessionStart{.id = "3f-A", .outlive_ms = 10'000},
       R"(start { protocol: 6 id: "3f-A" outlive_ms: 10000 })"},
      {SessionStart{.user = "bob:users"}, R"(start { protocol: 6 user: "bob:users" })"},
      {SessionResume{.id = "3f-A", .received = 1'000'000},
       R"(resume { protocol: 6 id: "3f-A" received: 1000000 })"},
      {Received{.messages = 70'000}, "received { messages: 70000 }"},
      {SessionStart{.id = "3f-A", .outlive_ms = 10'000, .detachable = true},
       R"(start { protocol: 6 id: "3f-A" outlive_ms: 10000 detachable: true })"},
      {SessionResume{.id = "3f-A", .received = 1, .attachment = 3},
       R"(resume { protocol: 6 id: "3f-A" received: 1 attachment: 3 })"},
      {SessionAttach{.id = "3f-A", .terminal = {1, 2, 3, 4}},
       R"(attach { protocol: 6 id: "3f-A"
            terminal { rows: 1 columns: 2 x_pixels: 3 y_pixels: 4 } })"},
      {SessionList{}, "list { protocol: 6 }"},
      {Detach{}, "detach { }"},
  };
}

template <>
inline std::vector<Sample<GuestSession>> samples() {
  return {
      {Started{.pid = 4321}, "started { pid: 4321 }"},
      {Stdout{.data = "out\xfe"}, R"(stdout { data: "out\376" })"},
      {Stderr{.data = "err"}, R"(stderr { data: "err" })"},
      {StdinCredit{.bytes = 5'000'000'000}, "stdin_credit { bytes: 5000000000 }"},
      {StdinClosed{}, "stdin_closed { }"},
      {Exited{.code = 7}, "exited { code: 7 }"},
      {Exited{.signal = 9}, "exited { signal: 9 }"},
      {Exited{.signal = 9, .out_of_memory_kills = 2},
       "exited { signal: 9 out_of_memory_kills: 2 }"},
      {Failed{.shell_code = 127, .text = "no such program"},
       R"(failed { shell_code: 127 text: "no such program" })"},
      {VersionMismatch{.guest_protocol = 3}, "version_mismatch { guest_protocol: 3 }"},
      {Resumed{.received = 12}, "resumed { received: 12 }"},
      {Received{.messages = 1}, "received { messages: 1 }"},
      {Attached{.attachment = 3, .unread_bytes = 200'000},
       "attached { attachment: 3 unread_bytes: 200000 }"},
      {TakenOver{}, "taken_over { }"},
      {Sessions{}, "sessions { }"},
      {Sessions{{{.id = "3f-A", .pid = 17, .command = "sleep 9", .age_s = 60, .attached = true},
                 {.id = "40"}}},
       R"(sessions { sessions { id: "3f-A" pid: 17 command: "sleep 9" age_s: 60 attached: true }
            sessions { id: "40" } })"},
  };
}

template <>
inline std::vector<Sample<HostTransfer>> samples() {
  return {
      {CopyIn{.path = "/root/x\xff", .name = "x", .keep_owners = true},
       R"(copy_in { protocol: 6 path: "/root/x\377" name: "x" keep_owners: true })"},
      {CopyOut{.path = "/etc", .name = "etc"},
       R"(copy_out { protocol: 6 path: "/etc" name: "etc" })"},
      {ConnectPort{.number = 8080}, "connect_port { protocol: 6 number: 8080 }"},
  };
}

template <>
inline std::vector<Sample<GuestTransfer>> samples() {
  return {
      {TransferReady{.bytes = 5'000'000'000}, "ready { bytes: 5000000000 }"},
      {TransferDone{.left_out = 2}, "done { left_out: 2 }"},
      {TransferFailed{.text = "no such file"}, R"(failed { text: "no such file" })"},
      {VersionMismatch{.guest_protocol = 3}, "version_mismatch { guest_protocol: 3 }"},
  };
}

template <>
inline std::vector<Sample<HostDeploy>> samples() {
  return {
      {DeployStart{}, "start { protocol: 6 }"},
      {DeploySet{.table = "capsem-entries 2\n", .sums = "00  /capsem/x\n"},
       R"(set { table: "capsem-entries 2\n" sums: "00  /capsem/x\n" })"},
      {DeployItem{
           .paths = {"/capsem/bin/halt", "/capsem/bin/reboot"}, .mode = 0555, .bytes = 1'500'000},
       R"(item { paths: "/capsem/bin/halt" paths: "/capsem/bin/reboot" mode: 365 bytes: 1500000 })"},
      {DeployItem{.paths = {"/capsem/diagnostics"}, .mode = 0555, .directory = true},
       R"(item { paths: "/capsem/diagnostics" mode: 365 directory: true })"},
      {DeployData{.data = std::string("a\0b", 3)}, R"(data { data: "a\000b" })"},
      {DeployEnd{}, "end { }"},
  };
}

template <>
inline std::vector<Sample<GuestDeploy>> samples() {
  return {
      {DeployState{.entries = {{"snapshots", Origin::kAbsent}}, .table = "capsem-entries 2\n"},
       R"(state { entries { name: "snapshots" } table: "capsem-entries 2\n" })"},
      {DeployDone{.restarted = {{"capsem-pty-agent", 120}}, .problems = {"cannot start it"}},
       R"(done { restarted { name: "capsem-pty-agent" pid: 120 } problems: "cannot start it" })"},
      {DeployFailed{.text = "its mode is 0755"}, R"(failed { text: "its mode is 0755" })"},
      {VersionMismatch{.guest_protocol = 2}, "version_mismatch { guest_protocol: 2 }"},
  };
}

}  // namespace capsem::wire
