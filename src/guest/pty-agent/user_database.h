// Users and groups as passwd(5) and group(5) have them. A static program has no name service switch
// to ask, and a session's files are not to choose what code the agent loads.
#pragma once

#include <sys/types.h>

#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace capsem::guest::pty_agent {

struct UserEntry {
  std::string name;
  uid_t uid = 0;
  gid_t gid = 0;
  std::string home;
  std::string shell;
  bool operator==(const UserEntry&) const = default;
};

// A user or group number in decimal digits. Nothing for another text, and for the greatest number,
// which to setresuid(2) means "as it is".
std::optional<unsigned> parse_id(std::string_view text);

// Below, `passwd` and `group` are the content of the files; lines that break their format are
// passed over. Where two lines would do, the first does. A name comes before the number that it
// looks like.

std::optional<UserEntry> find_user(std::string_view passwd, std::string_view name_or_number);

// A number needs no line.
std::optional<gid_t> find_group(std::string_view group, std::string_view name_or_number);

// `own`, which is the user's by its entry, and the groups that list it as a member; each once.
std::vector<gid_t> groups_of(std::string_view group, std::string_view user, gid_t own);

}  // namespace capsem::guest::pty_agent
