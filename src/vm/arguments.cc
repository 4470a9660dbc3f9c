#include "vm/arguments.h"

#include <algorithm>
#include <array>

namespace capsem::vm {
namespace {

struct Option {
  const char* name;
  const char* value;  // nullptr: the option has none
};

// What every machine has.
constexpr std::array kOptions = {
    Option{"-nodefaults", nullptr},
    Option{"-no-user-config", nullptr},
    Option{"-display", "none"},
    Option{"-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"},
    // What the guest has no driver or no use for costs time at each boot.
    Option{"-machine", "q35,sata=off,smbus=off,i8042=off,vmport=off,memory-backend=ram"},
    // A firmware that only loads the kernel.
    Option{"-bios", "qboot.rom"},
    // Tells us of a panic; what stands on the console anyone in the guest may have written.
    Option{"-device", "pvpanic-pci"},
};

struct PerAccelerator {
  Accelerator accelerator;
  const char* cpu;
  const char* command_line;
  const char* one_cpu_command_line;  // for a machine with a single processor
};

// TCG: what 64-bit programs of the last ten years expect, and rdrand, so that the guest's random
// numbers are good from the start. "max" would take 0.1 s more of each boot. aes, pclmulqdq: one
// helper of QEMU for what takes dozens of instructions without; TLS goes twice as fast.
// nolapic_timer: calibrating that timer takes 0.1 s, and the HPET serves one processor as well;
// with two, each timer of the second would be an interrupt from the first.
// capsem.fixed_addresses: QEMU 7.2 keeps a translation for the address it was made at, and makes
// all of a program and its libraries anew when the kernel has placed them elsewhere: 17 of the 24
// ms that a small program takes from fork(2) to its end.
constexpr std::array kAccelerators = {
    PerAccelerator{Accelerator::kKvm, "host", "", ""},
    PerAccelerator{Accelerator::kTcg,
                   "qemu64,+ssse3,+sse4.1,+sse4.2,+popcnt,+rdrand,+aes,+pclmulqdq",
                   "capsem.fixed_addresses", "nolapic_timer"},
};

// cryptomgr.notests: the kernel's self-tests of its ciphers take 0.3 s of a boot under TCG.
// quiet: each line of the boot log costs, 0.1 s in all; a panic is printed all the same.
// panic=-1: a panic ends the machine at once, after its text is on the console.
constexpr const char* kLinuxCommandLine = "console=ttyS0 quiet panic=-1 cryptomgr.notests";

const PerAccelerator& options_of(Accelerator accelerator) {
  for (const auto& row : kAccelerators)
    if (row.accelerator == accelerator) return row;
  return kAccelerators.back();
}

// Puts the list together, numbering the descriptors QEMU inherits from 3 up.
class Builder {
 public:
  explicit Builder(const std::string& program) { result_.argv.push_back(program); }

  void add(std::string option) { result_.argv.push_back(std::move(option)); }
  void add(std::string option, std::string value) {
    add(std::move(option));
    add(std::move(value));
  }

  // The descriptor's number in QEMU.
  std::string pass(const Fd& fd) {
    result_.fds.emplace_back(next_, fd.get());
    return std::to_string(next_++);
  }
  void pass_as(int number, const Fd& fd) { result_.fds.emplace_back(number, fd.get()); }

  // A path by which QEMU opens exactly this file.
  std::string path_of(const Fd& fd) { return "/proc/self/fd/" + pass(fd); }

  void add_chardev(const std::string& id, const Fd& socket) {
    add("-chardev", "socket,id=" + id + ",fd=" + pass(socket));
  }

  Invocation take() { return std::move(result_); }

 private:
  Invocation result_;
  int next_ = 3;
};

void add_rootfs(Builder& builder, const Fd& image) {
  builder.add("-add-fd", "fd=" + builder.pass(image) + ",set=1");
  builder.add("-blockdev", "driver=file,node-name=rootfs-file,filename=/dev/fdset/1,read-only=on");
  builder.add("-blockdev", "driver=raw,node-name=rootfs,file=rootfs-file,read-only=on");
  builder.add("-device", "virtio-blk-pci,drive=rootfs");
}

// Kept as ordinary files are: in the host's page cache, with a flush of the guest's as
// fdatasync(2). werror: a host without room stops the machine, which tries again what it was to
// write when it is let go on; any other error is the guest's to know.
void add_disk(Builder& builder, const Fd& image) {
  builder.add("-add-fd", "fd=" + builder.pass(image) + ",set=2");
  builder.add("-blockdev",
              "driver=file,node-name=disk-file,filename=/dev/fdset/2,discard=unmap,locking=on");
  builder.add("-blockdev", "driver=raw,node-name=disk,file=disk-file,discard=unmap");
  builder.add("-device", "virtio-blk-pci,drive=disk,werror=enospc,rerror=report");
}

}  // namespace

const char* name(Accelerator accelerator) {
  return accelerator == Accelerator::kKvm ? "kvm" : "tcg";
}

std::string kernel_command_line(const Machine& machine) {
  std::string line;
  auto append = [&line](std::string_view words) {
    if (!line.empty() && !words.empty()) line += ' ';
    line += words;
  };
  if (machine.linux_guest) {
    append(kLinuxCommandLine);
    append(options_of(machine.accelerator).command_line);
    if (machine.cpus == 1) append(options_of(machine.accelerator).one_cpu_command_line);
  }
  append(machine.command_line);
  return line;
}

Invocation invocation(const std::string& program, const Machine& machine,
                      const Endpoints& endpoints) {
  Builder builder(program);
  for (const auto& option : kOptions) {
    builder.add(option.name);
    if (option.value != nullptr) builder.add(option.value);
  }
  builder.add("-accel", name(machine.accelerator));
  builder.add("-cpu", options_of(machine.accelerator).cpu);
  // Before 8.1 QEMU leaves out the guest's memory barriers under TCG when there can be one
  // processor only, although its own threads and ours read the same rings; with room for a second
  // it keeps them.
  auto most = std::max(machine.cpus, 2U);
  builder.add("-smp", std::to_string(machine.cpus) + ",maxcpus=" + std::to_string(most));
  // Shared, so that the vsock device sees the guest's memory; a memfd leaves no file behind.
  builder.add("-object",
              "memory-backend-memfd,id=ram,share=on,size=" + std::to_string(machine.memory_bytes));

  builder.add("-kernel", builder.path_of(*machine.kernel));
  if (machine.initrd != nullptr) builder.add("-initrd", builder.path_of(*machine.initrd));
  if (auto line = kernel_command_line(machine); !line.empty()) builder.add("-append", line);
  if (machine.rootfs != nullptr) add_rootfs(builder, *machine.rootfs);
  if (machine.disk != nullptr) add_disk(builder, *machine.disk);

  builder.add_chardev("qmp", endpoints.qmp);
  builder.add("-mon", "chardev=qmp,mode=control");
  builder.add_chardev("console", endpoints.console);
  builder.add("-serial", "chardev:console");
  if (machine.vsock) {
    builder.add_chardev("vsock", endpoints.vsock);
    builder.add("-device", "vhost-user-vsock-pci,chardev=vsock");
  }
  if (machine.reboot_ends) builder.add("-no-reboot");
  if (machine.exit_device) builder.add("-device", "isa-debug-exit,iobase=0xf4,iosize=1");
  builder.pass_as(0, endpoints.input);
  builder.pass_as(1, endpoints.errors);
  builder.pass_as(2, endpoints.errors);
  return builder.take();
}

}  // namespace capsem::vm
