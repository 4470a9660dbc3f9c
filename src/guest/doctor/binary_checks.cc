// The entries of guest.toml as they lie in the guest: there, with the policy's mode and owner, and
// not to be written even by root.
#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <cstring>

#include "base/fd.h"
#include "base/text.h"
#include "guest/doctor/check.h"
#include "manifest/policy.h"

namespace capsem::guest::doctor {
namespace {

Outcome check_entry(const manifest::Entry& entry) {
  struct stat status{};
  if (::lstat(entry.path.c_str(), &status) != 0)
    return expect(false, entry.path + ": " + std::strerror(errno));
  auto type = S_ISDIR(status.st_mode) ? manifest::FileType::kDirectory : manifest::FileType::kFile;
  auto fits = manifest::check_found(entry, type, status.st_mode & 07777, status.st_uid,
                                    status.st_gid, entry.path);
  if (!fits) return expect(false, fits.error().message());
  return expect(true, octal(status.st_mode) + " root:root");
}

Outcome check_writing(const manifest::Entry& entry) {
  bool directory = entry.file.has_value() || !entry.build;
  auto target = directory ? entry.path + "/written-by-the-doctor" : entry.path;
  auto opened = open_file(target, directory ? O_WRONLY | O_CREAT : O_WRONLY, 0600);
  if (opened) return expect(false, target + " was opened for writing");
  return expect(errno == EROFS, std::strerror(errno));
}

}  // namespace

void check_binaries(const Guest& guest, std::vector<Check>& report) {
  for (const auto& entry : guest.manifest.entries) {
    if (entry.is_init()) continue;
    auto type = entry.build ? manifest::FileType::kFile : manifest::FileType::kDirectory;
    report.push_back({"binaries", entry.name,
                      octal(manifest::expected_mode(entry, type)) + " root:root",
                      check_entry(entry)});
    report.push_back(
        {"binaries", entry.name + ": writing", "Read-only file system", check_writing(entry)});
  }
}

}  // namespace capsem::guest::doctor
