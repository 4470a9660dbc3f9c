#include "vm/probe.h"

#include <sys/mman.h>

#include <cerrno>

#include "vm/probe_report.h"

// The file is CAPSEM_PROBE_KERNEL, from CMake.
asm(".pushsection .rodata\n"
    ".global capsem_probe_kernel_begin\n"
    ".global capsem_probe_kernel_end\n"
    "capsem_probe_kernel_begin:\n"
    ".incbin \"" CAPSEM_PROBE_KERNEL
    "\"\n"
    "capsem_probe_kernel_end:\n"
    ".popsection\n");
extern "C" const std::byte capsem_probe_kernel_begin[];
extern "C" const std::byte capsem_probe_kernel_end[];

namespace capsem::vm {
namespace {

// QEMU's hw/misc/debugexit.c: the exit status for a written value.
constexpr int kSuccessStatus = (PROBE_REPORT << 1) | 1;

Result<Fd> in_memory(std::span<const std::byte> content) {
  Fd file(::memfd_create("capsem-probe", MFD_CLOEXEC));
  if (!file) return fail_system("make", "a file in memory", errno);
  if (auto written = write_full(file, content, "a file in memory"); !written)
    return propagate(written);
  return file;
}

}  // namespace

std::span<const std::byte> probe_kernel() {
  return {capsem_probe_kernel_begin, capsem_probe_kernel_end};
}

Task<Result<ProbeResult>> run_probe(boost::asio::any_io_executor executor, Probe probe) {
  auto kernel = in_memory(probe.kernel);
  if (!kernel) co_return propagate(kernel);
  Machine machine;
  machine.accelerator = probe.accelerator;
  machine.memory_bytes = 64ULL << 20;
  machine.kernel = &*kernel;
  machine.linux_guest = false;
  machine.vsock = false;
  machine.exit_device = true;
  auto qemu = Qemu::start(executor, machine, probe.program);
  if (!qemu) co_return propagate(qemu);

  auto ended = co_await qemu->wait_for(probe.limit);
  if (!ended) co_return propagate(ended);
  ProbeResult result;
  if (!ended->has_value()) {
    result.reason =
        "a test guest did not finish within " + std::to_string(probe.limit.count()) + " ms";
  } else if ((*ended)->signal == 0 && (*ended)->code == kSuccessStatus) {
    result.works = true;
  } else if ((*ended)->success()) {
    result.reason = "a test guest crashed";
  } else {
    result.reason = "QEMU " + qemu->end_in_words(**ended);
  }
  co_return result;
}

}  // namespace capsem::vm
