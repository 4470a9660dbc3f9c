#include "assets/debian_errors.h"

#include <pwd.h>
#include <unistd.h>

#include <array>

#include "base/file.h"
#include "base/process.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

struct Symptom {
  std::string_view text;  // found in a line
  std::string_view reason;
  std::string_view advice;
  ErrorKind kind;
  bool with_line;  // the line tells more than the reason alone
};

constexpr std::string_view kCheckList = "correct guest/config/packages.list";
constexpr std::string_view kCheckNetwork =
    "check the network and apt's sources, then run again: capsem build-assets";

// The first that is found in any line is the cause; what apt says later follows from it.
constexpr std::array<Symptom, 10> kSymptoms = {{
    {"No space left on device", "the disk is full", "free some space, TMPDIR included",
     ErrorKind::kNoSpace, false},
    {"You don't have enough free space", "the disk is full", "free some space, TMPDIR included",
     ErrorKind::kNoSpace, false},
    {"Unable to locate package", "a package does not exist", kCheckList, ErrorKind::kNotFound,
     true},
    {"has no installation candidate", "a package does not exist", kCheckList, ErrorKind::kNotFound,
     true},
    {"unmet dependencies", "the packages do not fit together", kCheckList, ErrorKind::kInvalid,
     false},
    {"is not signed", "the registry's signature does not hold", kCheckNetwork,
     ErrorKind::kPermission, true},
    {"Failed to fetch", "the package registry does not answer", kCheckNetwork, ErrorKind::kOther,
     true},
    {"Could not resolve", "the package registry does not answer", kCheckNetwork, ErrorKind::kOther,
     true},
    {"Not found in archive", "the kernel package lacks modules",
     "correct guest/config/modules.rootfs", ErrorKind::kNotFound, true},
    {"unable to pick chroot mode", "user namespaces are not allowed here",
     "run it as root, or install the package uidmap", ErrorKind::kPermission, false},
}};

std::string_view without_mark(std::string_view line) {
  if (line.starts_with("E: ")) line.remove_prefix(3);
  return line;
}

constexpr std::uint64_t kMaxIdFileBytes = 1 << 20;

Result<> check_id_range(const char* file, const std::string& user, uid_t uid) {
  auto text = read_file(file, kMaxIdFileBytes);
  if (text)
    for (auto line : split(*text, '\n'))
      if (line.starts_with(user + ":") || line.starts_with(std::to_string(uid) + ":")) return {};
  return fail("unpack packages as the user", user, std::string("it has no range of ids in ") + file,
              "as root: usermod --add-subuids 100000-165535 --add-subgids 100000-165535 " + user,
              ErrorKind::kPermission);
}

Result<> check_namespaces_allowed() {
  struct Setting {
    const char* file;
    const char* name;
    const char* advice;
  };
  constexpr std::array<Setting, 2> kSettings = {{
      {"/proc/sys/kernel/unprivileged_userns_clone", "kernel.unprivileged_userns_clone",
       "as root: sysctl kernel.unprivileged_userns_clone=1"},
      {"/proc/sys/user/max_user_namespaces", "user.max_user_namespaces",
       "as root: sysctl user.max_user_namespaces=10000"},
  }};
  for (const auto& setting : kSettings) {
    auto text = read_file(setting.file, 64);
    if (text && trim(*text) == "0")
      return fail("unpack packages as an", "ordinary user",
                  std::string(setting.name) + " is 0 on this machine", setting.advice,
                  ErrorKind::kPermission);
  }
  return {};
}

}  // namespace

Error diagnose_packages(std::span<const std::string> lines, const std::string& status) {
  const std::string attempted = "unpack";
  const std::string subject = "the guest's packages";
  for (const auto& symptom : kSymptoms)
    for (const auto& line : lines) {
      if (line.find(symptom.text) == std::string::npos) continue;
      std::string reason(symptom.reason);
      if (symptom.with_line) reason += " (" + printable(without_mark(line)) + ")";
      return {attempted, subject, std::move(reason), std::string(symptom.advice), symptom.kind};
    }
  // mmdebstrap's own lines come last and only say that something failed.
  std::string reason = "mmdebstrap ended with " + status;
  for (const auto& line : lines)
    if (line.starts_with("E: ")) {
      reason += ": " + printable(without_mark(line));
      break;
    }
  return {attempted, subject, std::move(reason)};
}

Result<> check_can_unpack() {
  struct Needed {
    const char* program;
    const char* package;
  };
  for (const auto& [program, package] : {Needed{"mmdebstrap", "mmdebstrap"},
                                         {"dpkg-deb", "dpkg"},
                                         {"sqfstar", "squashfs-tools"},
                                         {"tar", "tar"}})
    if (!find_program(program))
      return fail("run", program, "it is not installed",
                  std::string("install the Debian package ") + package, ErrorKind::kNotFound);
  uid_t uid = ::geteuid();
  if (uid == 0) return {};
  if (!find_program("newuidmap"))
    return fail("unpack packages as an", "ordinary user", "newuidmap is not installed",
                "install the Debian package uidmap, or run it as root", ErrorKind::kNotFound);
  if (auto allowed = check_namespaces_allowed(); !allowed) return allowed;
  const passwd* account = ::getpwuid(uid);
  std::string user = account != nullptr ? account->pw_name : std::to_string(uid);
  for (const char* file : {"/etc/subuid", "/etc/subgid"})
    if (auto has = check_id_range(file, user, uid); !has) return has;
  return {};
}

}  // namespace capsem::assets
