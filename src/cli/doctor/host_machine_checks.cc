// Checks of what runs VMs: capsem itself, QEMU, and the processor.
#include <grp.h>
#include <sys/stat.h>

#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <exception>

#include "base/process.h"
#include "base/text.h"
#include "cli/doctor/host_check_functions.h"
#include "cli/doctor/host_observation.h"
#include "vm/qemu.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;
namespace fs = std::filesystem;

constexpr const char* kQemuAdvice = "install the Debian package qemu-system-x86";

Result<vm::Verdict> ask_for_accelerator(const vm::AcceleratorQuery& query) {
  asio::io_context loop(1);
  Result<vm::Verdict> verdict = vm::Verdict();
  std::exception_ptr thrown;
  asio::co_spawn(loop, vm::choose_accelerator(loop.get_executor(), query),
                 [&](std::exception_ptr exception, Result<vm::Verdict> chosen) {
                   thrown = std::move(exception);
                   verdict = std::move(chosen);
                 });
  loop.run();
  if (thrown) std::rethrow_exception(thrown);
  return verdict;
}

// " (0660 root:kvm)" of a device that exists.
std::string permissions_of(const fs::path& device) {
  struct stat status{};
  if (::stat(device.c_str(), &status) != 0) return {};
  const group* group = ::getgrgid(status.st_gid);
  auto owner = group != nullptr ? std::string(group->gr_name) : std::to_string(status.st_gid);
  return " (" + octal(status.st_mode) + ", group " + owner + ")";
}

}  // namespace

std::optional<vm::QemuVersion> qemu_version(std::string_view printed) {
  constexpr std::string_view kMark = "version ";
  auto begin = printed.find(kMark);
  if (begin == std::string_view::npos) return std::nullopt;
  printed.remove_prefix(begin + kMark.size());
  vm::QemuVersion version;
  int* const parts[] = {&version.major, &version.minor, &version.micro};
  for (int* part : parts) {
    auto [end, error] = std::from_chars(printed.data(), printed.data() + printed.size(), *part);
    if (error != std::errc{}) return std::nullopt;
    printed.remove_prefix(static_cast<std::size_t>(end - printed.data()));
    if (part == parts[2] || !printed.starts_with('.')) break;
    printed.remove_prefix(1);
  }
  return version;
}

Observation check_installation(const Host& host) {
  if (!host.layout) return as_problem(host.layout.error());
  const auto& layout = *host.layout;
  if (layout.checkout)
    return ok("checkout " + layout.sources.root.string() + ", built in " + layout.build.string());
  return ok("installed in " + layout.sources.root.string());
}

Observation check_qemu(const Host& host) {
  auto program = vm::find_qemu(host.accelerator.probe.program);
  if (!program) return as_problem(program.error(), kQemuAdvice);
  auto printed = run_for_output({.argv = {program->string(), "--version"}});
  if (!printed) return as_problem(printed.error(), "install qemu-system-x86 again");
  auto version = qemu_version(*printed);
  if (!version)
    return problem(program->string() + " does not say its version",
                   "see what '" + program->string() + " --version' prints");
  auto seen = version->text() + ", " + program->string();
  if (*version < vm::kOldestQemu)
    return problem(seen + ": older than " + vm::kOldestQemu.text(), "install a newer QEMU");
  return ok(std::move(seen));
}

Observation check_accelerator(const Host& host) {
  auto verdict = ask_for_accelerator(host.accelerator);
  if (!verdict) return as_problem(verdict.error(), kQemuAdvice);
  const std::string how = verdict->fresh ? " (probed just now)" : " (as probed earlier)";
  if (verdict->accelerator == vm::Accelerator::kKvm) return ok("KVM, a test guest ran" + how);
  return warning("emulation (TCG), since KVM does not work: " + verdict->obstacle +
                     permissions_of(host.accelerator.kvm_device) + how,
                 verdict->advice.empty()
                     ? "see whether this machine lets its guests use KVM; all works, only slower"
                     : "to use KVM, " + verdict->advice);
}

}  // namespace capsem::cli
