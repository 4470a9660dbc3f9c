#include "guest/pty-agent/user_database.h"

#include <algorithm>
#include <charconv>
#include <limits>

#include "base/text.h"

namespace capsem::guest::pty_agent {
namespace {

// The fields of a line, in their order.
namespace passwd_field {
constexpr std::size_t kName = 0;
constexpr std::size_t kUid = 2;
constexpr std::size_t kGid = 3;
constexpr std::size_t kHome = 5;
constexpr std::size_t kShell = 6;
constexpr std::size_t kCount = 7;
}  // namespace passwd_field

namespace group_field {
constexpr std::size_t kName = 0;
constexpr std::size_t kGid = 2;
constexpr std::size_t kMembers = 3;
constexpr std::size_t kCount = 4;
}  // namespace group_field

struct GroupEntry {
  std::string_view name;
  gid_t gid = 0;
  std::string_view members;  // between commas
};

// Comments, and the lines of NIS's compat mode (nsswitch.conf(5)).
bool is_entry(std::string_view line) {
  return !line.empty() && std::string_view("#+-:").find(line.front()) == std::string_view::npos;
}

std::optional<UserEntry> user_of(std::string_view line) {
  auto fields = split(line, ':');
  if (!is_entry(line) || fields.size() != passwd_field::kCount) return std::nullopt;
  auto uid = parse_id(fields[passwd_field::kUid]);
  auto gid = parse_id(fields[passwd_field::kGid]);
  if (!uid || !gid) return std::nullopt;
  return UserEntry{.name = std::string(fields[passwd_field::kName]),
                   .uid = *uid,
                   .gid = *gid,
                   .home = std::string(fields[passwd_field::kHome]),
                   .shell = std::string(fields[passwd_field::kShell])};
}

std::optional<GroupEntry> group_of(std::string_view line) {
  auto fields = split(line, ':');
  if (!is_entry(line) || fields.size() != group_field::kCount) return std::nullopt;
  auto gid = parse_id(fields[group_field::kGid]);
  if (!gid) return std::nullopt;
  return GroupEntry{fields[group_field::kName], *gid, fields[group_field::kMembers]};
}

// The first line's entry, as `entry_of` reads it, that `wanted` says yes to.
template <class EntryOf, class Wanted>
auto find_entry(std::string_view file, EntryOf entry_of, Wanted wanted)
    -> decltype(entry_of(file)) {
  for (auto line : split(file, '\n')) {
    auto entry = entry_of(line);
    if (entry && wanted(*entry)) return entry;
  }
  return std::nullopt;
}

}  // namespace

std::optional<unsigned> parse_id(std::string_view text) {
  unsigned number = 0;
  auto [rest, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  bool whole = error == std::errc() && rest == text.data() + text.size();
  if (!whole || number == std::numeric_limits<unsigned>::max()) return std::nullopt;
  return number;
}

std::optional<UserEntry> find_user(std::string_view passwd, std::string_view name_or_number) {
  auto has_name = [&](const UserEntry& user) { return user.name == name_or_number; };
  auto by_name = find_entry(passwd, user_of, has_name);
  auto uid = parse_id(name_or_number);
  if (by_name || !uid) return by_name;
  auto has_number = [&](const UserEntry& user) { return user.uid == *uid; };
  return find_entry(passwd, user_of, has_number);
}

std::optional<gid_t> find_group(std::string_view group, std::string_view name_or_number) {
  auto has_name = [&](const GroupEntry& entry) { return entry.name == name_or_number; };
  if (auto by_name = find_entry(group, group_of, has_name)) return by_name->gid;
  return parse_id(name_or_number);
}

std::vector<gid_t> groups_of(std::string_view group, std::string_view user, gid_t own) {
  std::vector<gid_t> groups = {own};
  for (auto line : split(group, '\n')) {
    auto entry = group_of(line);
    if (!entry) continue;
    auto members = split(entry->members, ',');
    bool is_member = std::ranges::find(members, user) != members.end();
    bool is_known = std::ranges::find(groups, entry->gid) != groups.end();
    if (is_member && !is_known) groups.push_back(entry->gid);
  }
  return groups;
}

}  // namespace capsem::guest::pty_agent
