#include "guest/init/disk.h"

#include <fcntl.h>
#include <sys/mount.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <utility>

#include "base/ext4.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/init/console.h"
#include "guest/init/mounts.h"
#include "guest/kernel_command_line.h"

namespace capsem::guest::init {
namespace {

constexpr const char* kDevice = "/dev/vdb";  // behind the rootfs, see vm/arguments.cc

// discard: what is removed in the guest takes no room on the host. errors: a file system that finds
// itself damaged stops being written to.
constexpr unsigned long kMountFlags = MS_NODEV | MS_NOATIME;
constexpr const char* kMountOptions = "errors=remount-ro,discard";

constexpr const char* kProgram = "/usr/sbin/e2fsck";
constexpr int kCorrected = 0x3;  // e2fsck(8): the bits of an exit status that left no error behind
constexpr std::size_t kOutputBytes = 4096;
constexpr const char* kAttempt = "use the VM's disk";
constexpr const char* kRepairAdvice =
    "copy the file 'disk' of the VM, and repair it with 'e2fsck -f' on a machine that may see it";

Result<DiskCheck> run_e2fsck(const std::string& device) {
  auto pipe = make_pipe();
  if (!pipe) return propagate(pipe);
  auto& [out, in] = *pipe;
  // -p: what can be put in order without a doubt, the journal above all.
  auto process = Process::start({.argv = {kProgram, "-p", device},
                                 .environment = {{"PATH=/usr/sbin:/usr/bin", "LC_ALL=C"}},
                                 .fds = {{1, in.get()}, {2, in.get()}}});
  if (!process && process.error().kind() == ErrorKind::kNotFound)
    return fail("check", device, std::string("the rootfs has no ") + kProgram,
                "run 'capsem build-assets'", ErrorKind::kNotFound);
  if (!process) return propagate(process);
  in.reset();
  DiskCheck check;
  std::array<char, kOutputBytes> buffer{};
  for (;;) {
    ssize_t n = ::read(out.get(), buffer.data(), buffer.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) break;
    check.output.append(buffer.data(), static_cast<std::size_t>(n));
    if (check.output.size() > kOutputBytes)
      check.output.erase(0, check.output.size() - kOutputBytes);
  }
  auto status = process->wait();
  if (!status) return propagate(status);
  check.status = *status;
  return check;
}

std::string in_one_line(std::string_view text) {
  std::vector<std::string> lines;
  for (auto line : split(text, '\n'))
    if (auto trimmed = trim(line); !trimmed.empty()) lines.push_back(printable(trimmed));
  return join(lines, "; ");
}

}  // namespace

Result<> make_ready(const std::string& device, const std::string& uuid,
                    const std::function<Result<DiskCheck>(const std::string&)>& check) {
  auto disk = open_file(device, O_RDONLY);
  if (!disk) return propagate(disk);
  auto found = read_ext4(*disk, device);
  if (!found) return propagate(found, kAttempt, uuid);
  if (found->uuid != uuid)
    return fail(kAttempt, uuid, device + " has another file system, " + found->uuid, "",
                ErrorKind::kDamaged);
  disk->reset();
  if (found->clean) return {};
  auto checked = check(device);
  if (!checked) return propagate(checked, kAttempt, uuid);
  if (checked->status.signal == 0 && (checked->status.code & ~kCorrected) == 0) return {};
  auto said = in_one_line(checked->output);
  return fail(
      kAttempt, uuid,
      "its check ended with " + checked->status.describe() + (said.empty() ? "" : ": ") + said,
      kRepairAdvice, ErrorKind::kDamaged);
}

Result<> mount_store() {
  auto line = kernel_command_line();
  if (!line) return propagate(line);
  auto uuid = parameter_of(*line, kDiskParameter);
  if (!uuid) return mount_memory_store();
  if (auto there = wait_for_device(kDevice); !there) return there;
  if (auto ready = make_ready(kDevice, *uuid, run_e2fsck); !ready) return ready;
  return mount_file_system(kDevice, kOverlayStore, "ext4", kMountFlags, kMountOptions);
}

}  // namespace capsem::guest::init
