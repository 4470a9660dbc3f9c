// Our vsock device beside a TCP stream over a virtio-net card on QEMU's user-mode network, in one
// guest and one run, in turns. Ours has to be faster in every row.
//
//   vsock_bench --kernel=VMLINUX --modules=ROOTFS.SQUASHFS --init=VSOCK_GUEST [--rounds=N]
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "bench/vsock_host.h"

namespace capsem::vsock {
namespace {

constexpr std::uint64_t kBulkBytes = 64 << 20;
constexpr unsigned kPings = 1000;
constexpr double kBar = 1.0;  // ours divided by TCP's has to be larger

// One row of the table: what the guest is told after the peer's name, what the host does, and how
// the result reads.
struct Row {
  const char* name;
  const char* unit;
  std::string command;  // of guest_commands.h; PEER stands for the peer
  Service service;
  bool guest_measures;  // the answer holds nanoseconds
  bool rate;            // larger is better: megabytes a second instead of microseconds
};

std::vector<Row> rows() {
  const std::string bytes = std::to_string(kBulkBytes);
  const std::string pings = std::to_string(kPings);
  return {
      {"bulk, host to guest", "MB/s", "pull PEER 0", send_bytes(kBulkBytes), false, true},
      {"bulk, guest to host", "MB/s", "push PEER " + bytes + " 0", receive_all(), false, true},
      {"64-byte round trip, guest asks", "us", "ping PEER " + pings, echo(), true, false},
      {"64-byte round trip, host asks", "us", "echo PEER", ask(kPings), false, false},
  };
}

// One measurement in the row's unit; nothing when it failed.
std::optional<double> measure(BenchHost& host, const Row& row, const std::string& peer) {
  std::string command = row.command;
  command.replace(command.find("PEER"), 4, peer);
  std::optional<double> seconds;
  const std::string answer = host.run(command, row.service, seconds);
  if (!answer.starts_with("ok") || !seconds) {
    std::fprintf(stderr, "%s: %s\n", command.c_str(), answer.c_str());
    return std::nullopt;
  }
  if (row.guest_measures) {
    seconds = std::strtod(answer.c_str() + 3, nullptr) / 1e9;
  }
  return row.rate ? static_cast<double>(kBulkBytes) / 1e6 / *seconds : *seconds * 1e6;
}

double median(std::vector<double> values) {
  std::ranges::sort(values);
  return values[values.size() / 2];
}

// True when ours is faster.
bool compare(BenchHost& host, const Row& row, long rounds) {
  std::vector<double> ours;
  std::vector<double> tcp;
  for (long round = 0; round < rounds; ++round) {
    const std::optional<double> mine = measure(host, row, host.vsock_peer());
    const std::optional<double> other = measure(host, row, host.tcp_peer());
    if (!mine || !other) {
      return false;
    }
    ours.push_back(*mine);
    tcp.push_back(*other);
  }
  const double a = median(ours);
  const double b = median(tcp);
  const double ratio = row.rate ? a / b : b / a;
  std::printf("%-32s %8.1f %8.1f %-5s %6.2f  > %.1f  %s\n", row.name, a, b, row.unit, ratio, kBar,
              ratio > kBar ? "ok" : "MISSED");
  std::fflush(stdout);
  return ratio > kBar;
}

int run(const GuestFiles& files, long rounds) {
  GuestMachine::Options options;
  options.network = true;
  auto machine = GuestMachine::start(files, options);
  if (!machine) {
    std::fprintf(stderr, "%s\n", machine.error().message().c_str());
    return 1;
  }
  auto host = BenchHost::create(**machine);
  if (!host) {
    std::fprintf(stderr, "%s\n", host.error().message().c_str());
    return 1;
  }
  std::printf("%-32s %8s %8s %-5s %6s  %s\n", "", "vsock", "TCP", "", "ratio", "bar");
  bool good = true;
  for (const Row& row : rows()) {
    good = compare(**host, row, rounds) && good;
  }
  return good ? 0 : 1;
}

}  // namespace
}  // namespace capsem::vsock

int main(int argc, char** argv) {
  constexpr int kDefaultRounds = 5;
  long rounds = kDefaultRounds;
  for (int i = 1; i < argc; ++i) {
    constexpr std::string_view kOption = "--rounds=";
    if (std::string_view(argv[i]).starts_with(kOption)) {
      rounds = std::max(1L, std::strtol(argv[i] + kOption.size(), nullptr, 10));
    }
  }
  const auto files = capsem::vsock::parse_guest_files(argc, argv);
  const auto missing = capsem::vsock::missing_file(files);
  if (!missing.empty()) {
    std::fprintf(stderr, "%s is missing; run ./dev build-assets first\n", missing.c_str());
    return 1;
  }
  return capsem::vsock::run(files, rounds);
}
