// `capsem run true`, from start to exit, beside the floor: the same QEMU, kernel and machine
// options with an initrd of one static program that prints a line and powers off. In turns.
//
//   boot_bench CAPSEM FLOOR_INIT ASSETS [ROUNDS]
#include <fcntl.h>
#include <sys/mman.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/use_future.hpp>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <vector>

#include "base/file.h"
#include "base/process.h"
#include "bench/table.h"
#include "cpio/writer.h"
#include "vm/qemu.h"

namespace capsem::bench {
namespace {

constexpr double kBar = 2.0;
constexpr int kDefaultRounds = 7;
constexpr std::uint64_t kProgramLimitBytes = 64 << 20;

double seconds_of(Result<> (*run)(const void*), const void* argument, bool& good) {
  auto begin = std::chrono::steady_clock::now();
  auto done = run(argument);
  if (!done) {
    std::fprintf(stderr, "%s\n", done.error().message().c_str());
    good = false;
  }
  return std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

Result<> run_capsem(const void* capsem) {
  Command command{.argv = {static_cast<const char*>(capsem), "run", "--accel", "tcg", "true"}};
  auto process = Process::start(command);
  if (!process) return propagate(process);
  auto status = process->wait();
  if (!status) return propagate(status);
  if (!status->success()) return fail("run", "capsem", status->describe());
  return {};
}

struct Floor {
  Fd kernel;
  Fd initrd;
  Fd rootfs;
};

Result<Fd> floor_initrd(const char* program) {
  auto content = read_file(program, kProgramLimitBytes);
  if (!content) return propagate(content);
  std::vector<std::byte> archive;
  cpio::Writer writer(append_to(archive));
  auto added = writer.add_file("init", as_bytes(*content), {.permissions = 0755});
  if (!added) return propagate(added);
  if (auto finished = writer.finish(); !finished) return propagate(finished);
  Fd memory(::memfd_create("floor", MFD_CLOEXEC));
  auto written = write_full(memory, archive, "the floor's initrd");
  if (!written) return propagate(written);
  return memory;
}

// Named parameters: a coroutine's frame keeps them, not what a lambda captures.
Task<Result<>> run_machine(boost::asio::any_io_executor executor, const Floor* floor) {
  vm::Machine machine;
  machine.memory_bytes = 1ULL << 30;
  machine.kernel = &floor->kernel;
  machine.initrd = &floor->initrd;
  machine.rootfs = &floor->rootfs;
  machine.vsock = false;  // nobody would serve it
  auto qemu = vm::Qemu::start(executor, machine);
  if (!qemu) co_return propagate(qemu);
  bool printed = false;
  qemu->console().on_line([&printed](std::string_view line) { printed |= line == "floor"; });
  auto status = co_await qemu->wait();
  if (!status) co_return propagate(status);
  qemu->console().drain();
  if (!printed) co_return fail("boot", "the floor's guest", qemu->end_in_words(*status));
  co_return Result<>();
}

Result<> run_floor(const void* floor) {
  boost::asio::io_context loop(1);
  auto done = boost::asio::co_spawn(
      loop, run_machine(loop.get_executor(), static_cast<const Floor*>(floor)),
      boost::asio::use_future);
  loop.run();
  return done.get();
}

int run(const char* capsem, const char* init, const std::string& assets, int rounds) {
  auto kernel = open_file(assets + "/vmlinux", O_RDONLY);
  auto rootfs = open_file(assets + "/rootfs.squashfs", O_RDONLY);
  auto initrd = floor_initrd(init);
  if (!kernel || !rootfs || !initrd) {
    std::fprintf(stderr, "cannot measure the boot: build the assets first\n");
    return 1;
  }
  Floor floor{std::move(*kernel), std::move(*initrd), std::move(*rootfs)};
  std::vector<double> ours;
  std::vector<double> floors;
  bool good = true;
  seconds_of(run_capsem, capsem, good);  // packs, and warms the page cache for both
  for (int round = 0; round < rounds && good; ++round) {
    ours.push_back(seconds_of(run_capsem, capsem, good));
    floors.push_back(seconds_of(run_floor, &floor, good));
  }
  if (!good) return 1;
  Table table("s", "capsem", "floor");
  table.add_at_most("capsem run true", median(ours), median(floors), kBar);
  return table.finish();
}

}  // namespace
}  // namespace capsem::bench

int main(int argc, char** argv) {
  using capsem::bench::kDefaultRounds;
  if (argc < 4) {
    std::fprintf(stderr, "usage: boot_bench CAPSEM FLOOR_INIT ASSETS [ROUNDS]\n");
    return 2;
  }
  return capsem::bench::run(
      argv[1], argv[2], argv[3],
      argc > 4 ? static_cast<int>(std::strtol(argv[4], nullptr, 10)) : kDefaultRounds);
}
