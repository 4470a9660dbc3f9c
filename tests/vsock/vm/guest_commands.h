// What the guest of the VM tests can be told to do, one line a command; see the table in
// guest_commands.cc. And the services it offers on its own vsock ports.
#pragma once

#include <string>
#include <string_view>

namespace capsem::vsock {

// Carries out a command; the answer begins with "ok" or "failed".
std::string carry_out(std::string_view line);

// Listens on the ports below, each connection served by a thread of its own. Returns "ok" or what
// went wrong.
std::string start_services();

// echo: sends back what it gets, then ends. sink: counts and checks a Pattern until its end and
// answers with the count as text. source: gets a count as a line, sends so much of a Pattern.
inline constexpr unsigned kEchoPort = 7001;
inline constexpr unsigned kSinkPort = 7002;
inline constexpr unsigned kSourcePort = 7003;
inline constexpr unsigned kClosedPort = 7999;  // nobody listens there

// Where the guest connects for commands.
inline constexpr unsigned kControlPort = 4000;

}  // namespace capsem::vsock
