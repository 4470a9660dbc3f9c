// Attacks on the kernel: its modules, its settings, and the ways to have it run a program.
#include <fcntl.h>
#include <linux/bpf.h>
#include <linux/keyctl.h>
#include <linux/reboot.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/attack.h"

namespace capsem::guest::doctor {
namespace {

constexpr std::string_view kNoModule = "this is no kernel module";
// Refused without CAP_SYS_MODULE, CAP_SYS_BOOT or CAP_BPF; or left out of this kernel.
constexpr std::array kRefusals = {EPERM, ENOSYS};

int init_module() {
  return error_of(::syscall(SYS_init_module, kNoModule.data(), kNoModule.size(), ""));
}

int finit_module() {
  Fd file(::memfd_create("capsem-doctor", MFD_CLOEXEC));
  if (!file || !write_full(file, as_bytes(kNoModule), "a memfd")) return ENOMEM;
  return error_of(::syscall(SYS_finit_module, file.get(), "", 0));
}

int delete_module() {
  return error_of(::syscall(SYS_delete_module, "capsem_no_such_module", O_NONBLOCK));
}

// With flags that no kernel takes, which are looked at after the capability.
int kexec_load() {
  constexpr unsigned long kNoFlags = 0x8000;
  return error_of(::syscall(SYS_kexec_load, 0UL, 0UL, nullptr, kNoFlags));
}

int kexec_file_load() {
  constexpr unsigned long kNoFlags = 0x8000;
  return error_of(::syscall(SYS_kexec_file_load, -1, -1, 0UL, "", kNoFlags));
}

// Without the magic number, which is looked at after the capability: reboot(2).
int reboot() {
  return error_of(::syscall(SYS_reboot, 0, LINUX_REBOOT_MAGIC2, LINUX_REBOOT_CMD_CAD_OFF, nullptr));
}

int bpf() {
  bpf_attr attributes{};
  attributes.map_type = BPF_MAP_TYPE_ARRAY;
  attributes.key_size = 4;
  attributes.value_size = 4;
  attributes.max_entries = 1;
  return error_of(
      Fd(static_cast<int>(::syscall(SYS_bpf, BPF_MAP_CREATE, &attributes, sizeof attributes)))
          .get());
}

struct Call {
  const char* name;
  int (*attempt)();
};
constexpr std::array kCalls = {
    Call{"init_module", init_module},
    Call{"finit_module", finit_module},
    Call{"delete_module", delete_module},
    Call{"kexec_load", kexec_load},
    Call{"kexec_file_load", kexec_file_load},
    Call{"reboot", reboot},
    Call{"bpf", bpf},
};

constexpr std::array kSettings = {
    "/proc/sys/kernel/core_pattern",
    "/proc/sys/kernel/modprobe",
    "/proc/sys/kernel/sysrq",
    "/proc/sys/kernel/kptr_restrict",
    "/proc/sys/vm/overcommit_memory",
    "/proc/sys/net/ipv4/ip_forward",
    "/proc/sys/fs/suid_dumpable",
    "/proc/sysrq-trigger",
    "/proc/irq/default_smp_affinity",
    "/sys/kernel/uevent_helper",
    "/sys/bus/pci/rescan",
    "/sys/power/state",
    "/sys/module/kernel/parameters/panic",
    "/sys/fs/cgroup/cgroup.subtree_control",
};

// Opened only: nothing is written to a setting, even where it could be.
int open_setting(const char* path) {
  return error_of(Fd(::open(path, O_WRONLY | O_CLOEXEC)).get());
}

// A kernel that loads modules when they are asked for runs this program, outside of any session.
Outcome modules_on_demand(const Guest&) {
  auto helper = read_file("/proc/sys/kernel/modprobe", 1 << 12);
  if (!helper) return expect(false, helper.error().message());
  auto path = trim(*helper);
  return expect(path.empty(), path.empty() ? "there is no helper" : std::string(path));
}

// The kernel looks for a key with the help of this program, which it runs as root of the whole
// machine. Here it is ours for a moment, and leaves a mark when it is run.
Outcome key_helper(const Guest&) {
  constexpr const char* kHelper = "/sbin/request-key";
  struct stat status{};
  if (::lstat(kHelper, &status) == 0) return skip(std::string(kHelper) + " is this session's own");
  Scratch scratch("/var/tmp");
  auto mark = scratch.path() + "/mark";
  auto script = "#!/bin/sh\n: > " + mark + "\n";
  auto made = write_file_atomically(kHelper, script, 0755);
  if (!made) return skip(made.error().message());
  // In a process of its own, with whose end the keyring goes.
  auto outcome = in_child(Namespaces::kSame, [] {
    auto name = "capsem-doctor:" + std::to_string(::getpid());
    int error = error_of(
        ::syscall(SYS_request_key, "user", name.c_str(), "none", KEY_SPEC_PROCESS_KEYRING));
    return expect(error != 0, error == 0 ? "there is such a key" : std::strerror(error));
  });
  ::unlink(kHelper);
  if (::lstat(mark.c_str(), &status) != 0) return outcome;
  return expect(false, "the kernel ran this session's program");
}

constexpr std::array kRows = {
    CheckRow{"modules on demand", "the kernel has no helper to run", modules_on_demand},
    CheckRow{"helper of request_key", "the kernel does not run a session's", key_helper},
};

}  // namespace

void add_kernel_attacks(Items& items, const Guest& guest) {
  for (const auto& call : kCalls)
    items.push_back({call.name, "refused: Operation not permitted",
                     [call] { return judge(call.attempt(), kRefusals); }});
  for (const char* path : kSettings)
    items.push_back({std::string("write ") + path, "refused: Read-only file system",
                     [path] { return judge(open_setting(path), missing_refusals()); }});
  add_rows(items, kRows, guest);
}

}  // namespace capsem::guest::doctor
