// What a virtual machine is made of, as plain data: the one thing a caller fills in.
#pragma once

#include <cstdint>
#include <string>

#include "base/fd.h"

namespace capsem::vm {

// What executes the guest's instructions.
enum class Accelerator {
  kKvm,  // the processor itself, through /dev/kvm
  kTcg,  // QEMU's translator: slower, works anywhere
};

// "kvm" or "tcg": the word of QEMU's -accel and of our own --accel.
const char* name(Accelerator accelerator);

// A machine to start. The descriptors are borrowed until Qemu::start() returns; exactly the files
// they refer to are booted, whatever happens to their paths.
struct Machine {
  Accelerator accelerator = Accelerator::kTcg;
  std::uint64_t memory_bytes = 512ULL << 20;
  unsigned cpus = 1;

  const Fd* kernel = nullptr;  // an uncompressed vmlinux with a PVH note, or a bzImage
  const Fd* initrd = nullptr;  // may be absent
  const Fd* rootfs = nullptr;  // a raw image, offered read-only as a virtio block device; or absent
  const Fd* disk = nullptr;    // a raw image, open to read and write, as the second one; or absent
  std::string command_line;    // added to the options every Linux guest of ours gets

  bool linux_guest = true;   // false: the command line is passed as it is
  bool vsock = true;         // has a vhost-user vsock device, see Qemu::take_vsock_socket()
  bool reboot_ends = true;   // a reboot of the guest ends QEMU instead of starting it again
  bool exit_device = false;  // has QEMU's isa-debug-exit at port 0xf4: the guest ends QEMU
};

}  // namespace capsem::vm
