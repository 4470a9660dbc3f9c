// The entries of guest.toml as they lie in the guest: each there, with the policy's mode and owner,
// with the hash that PID 1 recorded, and with nothing mounted over it.
#include <fcntl.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>
#include <map>
#include <optional>

#include "base/directory.h"
#include "base/file.h"
#include "base/text.h"
#include "guest/doctor/groups.h"
#include "guest/doctor/mount_table.h"
#include "manifest/deployed.h"
#include "manifest/policy.h"
#include "manifest/sums.h"
#include "manifest/table.h"

namespace capsem::guest::doctor {
namespace {

using manifest::Entry;
using manifest::FileType;

constexpr std::uint64_t kRecordLimitBytes = 1 << 20;
constexpr std::size_t kShownDigits = 12;

// What the checks of all entries need: the record of PID 1, the mounts, and hashes of files that
// were read already, as all programs are names of one file.
struct Context {
  Result<std::vector<DeployedEntry>> deployed;
  Result<std::vector<MountInfo>> mounts;
  dev_t device = 0;
  std::map<ino_t, Digest> hashes;

  Context() : deployed(read_record()), mounts(see_mounts()) {
    struct stat status{};
    if (::stat(manifest::kGuestRoot, &status) == 0) device = status.st_dev;
  }

  static Result<std::vector<DeployedEntry>> read_record() {
    auto text = read_file(manifest::kDeployedPath, kRecordLimitBytes);
    if (!text) return propagate(text);
    return manifest::decode_deployed(*text);
  }

  Result<Digest> hash(const std::string& path, ino_t inode) {
    if (auto known = hashes.find(inode); known != hashes.end()) return known->second;
    auto file = open_file(path, O_RDONLY | O_NOFOLLOW);
    if (!file) return propagate(file);
    auto digest = sha256(*file, path);
    if (digest) hashes.emplace(inode, *digest);
    return digest;
  }
};

// Whether all that lies at `path` is as the policy says, on the file system of /capsem; adds the
// hash of each file to `sums`.
Result<> examine(const Entry& entry, const std::string& path, Context& context,
                 manifest::Sums& sums) {
  struct stat status{};
  if (::lstat(path.c_str(), &status) != 0) return fail_system("look at", path, errno);
  if (status.st_dev != context.device)
    return fail("accept", path, "it is on another file system: something is mounted over it");
  if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
    return fail("accept", path, "it is neither a file nor a directory");
  auto type = S_ISDIR(status.st_mode) ? FileType::kDirectory : FileType::kFile;
  auto fits = manifest::check_found(entry, type, status.st_mode & 07777, status.st_uid,
                                    status.st_gid, path);
  if (!fits) return fits;
  if (type == FileType::kFile) {
    auto digest = context.hash(path, status.st_ino);
    if (!digest) return propagate(digest);
    sums.emplace(path, *digest);
    return {};
  }
  auto names = names_in(path);
  if (!names) return propagate(names);
  for (const auto& name : *names) {
    auto inner = path + "/";
    inner += name;
    if (auto fine = examine(entry, inner, context, sums); !fine) return fine;
  }
  return {};
}

bool is_below(std::string_view path, std::string_view directory) {
  return path.starts_with(directory) && path.size() > directory.size() &&
         path[directory.size()] == '/';
}

// A mount at the entry's path, below it, or between it and /capsem; also one that shows the same
// files again.
std::optional<std::string> mounted_over(const Entry& entry, const Context& context) {
  for (const auto& mount : *context.mounts)
    if (is_below(mount.path, manifest::kGuestRoot) &&
        (mount.path == entry.path || is_below(mount.path, entry.path) ||
         is_below(entry.path, mount.path)))
      return mount.type + " is mounted at " + mount.path;
  return std::nullopt;
}

Outcome compare(const Entry& entry, const DeployedEntry& record, const Digest& found) {
  auto shown = [](const Digest& digest) { return digest.hex().substr(0, kShownDigits); };
  if (!record.sha256) return expect(false, "PID 1 recorded no hash of it");
  if (*record.sha256 != found)
    return expect(false, "its hash is " + shown(found) + "..., PID 1 deployed " +
                             shown(*record.sha256) + "...");
  return expect(true, std::string(name_of(record.origin)) + " " + shown(found) + " " +
                          octal(entry.mode) + " root:root");
}

Outcome check_entry(const Entry& entry, Context& context) {
  if (!context.deployed) return expect(false, context.deployed.error().message());
  if (!context.mounts) return expect(false, context.mounts.error().message());
  auto record = std::ranges::find(*context.deployed, entry.name, &DeployedEntry::name);
  if (record == context.deployed->end() || record->origin == Origin::kAbsent)
    return expect(false, "neither the initrd nor the rootfs had a good copy of it");
  if (auto mount = mounted_over(entry, context)) return expect(false, *mount);
  manifest::Sums sums;
  auto fine = examine(entry, entry.path, context, sums);
  if (!fine) return expect(false, fine.error().message());
  return compare(entry, *record, manifest::entry_hash(sums, entry.path));
}

// What nobody listed does not belong there, least of all among the programs.
Outcome nothing_else(const Guest& guest) {
  auto names = names_in(manifest::kProgramDirectory);
  if (!names) return expect(false, names.error().message());
  for (const auto& name : *names) {
    auto path = std::string(manifest::kProgramDirectory) + "/" + name;
    if (std::ranges::find(guest.manifest.entries, path, &Entry::path) ==
        guest.manifest.entries.end())
      return expect(false, path + " is no entry");
  }
  return expect(true, std::to_string(names->size()) + " programs");
}

constexpr CheckRow kRows[] = {
    {"nothing else", "only entries in /capsem/bin", nothing_else},
};

}  // namespace

Items binary_items(const Guest& guest) {
  Items items;
  auto context = std::make_shared<Context>();
  for (const auto& entry : guest.manifest.entries) {
    if (entry.is_init()) continue;
    items.push_back({entry.name,
                     octal(entry.mode) + " root:root, the hash of the deployed, nothing over it",
                     [&entry, context] { return check_entry(entry, *context); }});
  }
  add_rows(items, kRows, guest);
  return items;
}

}  // namespace capsem::guest::doctor
