#include "guest/pty-agent/user.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <span>

#include "base/text.h"
#include "guest/pty-agent/space.h"
#include "guest/pty-agent/user_database.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr const char* kPasswd = "/etc/passwd";
constexpr const char* kGroup = "/etc/group";

// Of one of these files; a session may have written them.
constexpr std::size_t kLongestFileBytes = 1 << 20;

// passwd(5): the shell of an entry that names none.
constexpr const char* kUsualShell = "/bin/sh";

struct Asked {
  std::string_view user;
  std::optional<std::string_view> group;
};

Asked parts_of(std::string_view asked) {
  auto colon = asked.find(':');
  if (colon == std::string_view::npos) return {asked, std::nullopt};
  return {asked.substr(0, colon), asked.substr(colon + 1)};
}

// Empty when there is none. Waits for nobody: not for a writer of a FIFO, nor for a lease to end.
Result<std::string> read_database(const Fd& root, const char* path) {
  Fd file = open_in(root, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
  if (!file && errno == ENOENT) return std::string();
  if (!file) return fail_system("open", path, errno);
  struct stat status{};
  if (::fstat(file.get(), &status) != 0) return fail_system("look at", path, errno);
  if (!S_ISREG(status.st_mode)) return fail("read", path, "it is no regular file");
  std::string content(kLongestFileBytes + 1, '\0');
  auto size = read_full(file, std::as_writable_bytes(std::span(content)), path);
  if (!size) return propagate(size);
  if (*size > kLongestFileBytes)
    return fail("read", path, "it is larger than " + std::to_string(kLongestFileBytes) + " bytes");
  content.resize(*size);
  return content;
}

std::unexpected<Error> unknown(std::string_view what, std::string_view who, const char* file) {
  return fail("find", "the " + std::string(what) + " " + printable(who),
              std::string("the guest's ") + file + " does not have it");
}

Result<UserEntry> entry_of(const Asked& asked, std::string_view passwd) {
  if (auto entry = find_user(passwd, asked.user)) return std::move(*entry);
  auto uid = parse_id(asked.user);
  if (!uid) return unknown("user", asked.user, kPasswd);
  if (!asked.group)
    return fail("find", "the group of user " + std::string(asked.user),
                std::string("the guest's ") + kPasswd + " does not have that user",
                "say " + std::string(asked.user) + ":GROUP for one without an entry");
  return UserEntry{.name = std::string(asked.user), .uid = *uid, .gid = 0, .home = {}, .shell = {}};
}

}  // namespace

Result<User> look_up_user(const Fd& root, std::string_view asked) {
  auto parts = parts_of(asked);
  auto passwd = read_database(root, kPasswd);
  if (!passwd) return propagate(passwd);
  auto group = read_database(root, kGroup);
  if (!group) return propagate(group);
  auto entry = entry_of(parts, *passwd);
  if (!entry) return propagate(entry);

  Credentials credentials{.uid = entry->uid, .gid = entry->gid, .groups = {}};
  if (parts.group) {
    auto gid = find_group(*group, *parts.group);
    if (!gid) return unknown("group", *parts.group, kGroup);
    credentials.gid = *gid;
    credentials.groups = {*gid};
  } else {
    credentials.groups = groups_of(*group, entry->name, entry->gid);
  }
  return User{.name = std::move(entry->name),
              .home = entry->home.starts_with('/') ? std::move(entry->home) : "/",
              .shell = entry->shell.empty() ? kUsualShell : std::move(entry->shell),
              .credentials = std::move(credentials)};
}

// Not by the functions of glibc, which would have other threads do the same (nptl(7)).
int become(const Credentials& credentials) noexcept {
  const auto& [uid, gid, groups] = credentials;
  if (::syscall(SYS_setgroups, groups.size(), groups.data()) != 0 ||
      ::syscall(SYS_setresgid, gid, gid, gid) != 0 || ::syscall(SYS_setresuid, uid, uid, uid) != 0)
    return errno;
  return 0;
}

}  // namespace capsem::guest::pty_agent
