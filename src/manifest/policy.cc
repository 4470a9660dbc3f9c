#include "manifest/policy.h"

#include "base/text.h"

namespace capsem::manifest {
namespace {

constexpr std::uint32_t kInitMode = 0755;
constexpr std::uint32_t kProgramMode = 0555;
constexpr std::uint32_t kDataMode = 0444;
constexpr std::uint32_t kTreeDirectoryMode = 0555;

}  // namespace

std::uint32_t expected_mode(const Entry& entry, FileType type) {
  return type == FileType::kDirectory ? kTreeDirectoryMode : entry.mode;
}

std::string mode_examples(const Entry& entry) {
  auto quoted = [](std::uint32_t mode) { return '"' + octal(mode) + '"'; };
  if (entry.is_init()) return quoted(kInitMode);
  if (entry.build) return quoted(kProgramMode);
  return quoted(kDataMode) + ", or " + quoted(kProgramMode) + " for what is to be run";
}

Result<> check_stated_mode(const Entry& entry, const std::string& where) {
  bool allowed = entry.is_init()
                     ? entry.mode == kInitMode
                     : entry.mode == kProgramMode || (!entry.build && entry.mode == kDataMode);
  if (allowed) return {};
  std::string reason = "mode " + octal(entry.mode) + " of " + entry.name;
  if (entry.is_init())
    reason += " is not the init's";
  else if ((entry.mode & 0222) != 0)
    reason += " lets it be written";
  else
    reason += entry.build ? " keeps it from being run" : " is neither data's nor a program's";
  return fail("read", where, reason, "write mode = " + mode_examples(entry), ErrorKind::kInvalid);
}

Result<> check_found(const Entry& entry, FileType type, std::uint32_t permissions,
                     std::uint32_t uid, std::uint32_t gid, const std::string& where) {
  std::uint32_t expected = expected_mode(entry, type);
  if ((permissions & 07777) != expected)
    return fail("accept", where,
                "its mode is " + octal(permissions) + ", the policy says " + octal(expected), "",
                ErrorKind::kInvalid);
  if (uid != 0 || gid != 0)
    return fail("accept", where,
                "it belongs to " + std::to_string(uid) + ":" + std::to_string(gid) +
                    ", the policy says 0:0",
                "", ErrorKind::kInvalid);
  return {};
}

}  // namespace capsem::manifest
