#include "guest/pty-agent/environment.h"

#include <array>
#include <string_view>
#include <utility>

#include "guest/paths.h"
#include "guest/pty-agent/terminal_type.h"

namespace capsem::guest::pty_agent {
namespace {

struct Variable {
  const char* name;
  const char* value;
};

// For programs that have a list of authorities of their own, where that of the host is missing; and
// for the C library's resolver (resolv.conf(5)), whose queries no network loses, and which is to
// wait for as long as the host may ask its user about a name.
constexpr std::array kStandard = {
    Variable{"PATH", kPath},
    Variable{"LANG", "C.UTF-8"},
    Variable{"NODE_EXTRA_CA_CERTS", kAuthorityFile},
    Variable{"REQUESTS_CA_BUNDLE", kTrustBundle},
    Variable{"SSL_CERT_FILE", kTrustBundle},
    Variable{"RES_OPTIONS", "timeout:30"},
};

struct UserVariable {
  const char* name;
  std::string User::* value;
};

// environ(7)
constexpr std::array kOfUser = {
    UserVariable{"HOME", &User::home},
    UserVariable{"USER", &User::name},
    UserVariable{"LOGNAME", &User::name},
    UserVariable{"SHELL", &User::shell},
};

// Of the agent alone: how it was started, and the terminal of the machine's console.
constexpr std::array kPrivate = {"LISTEN_FDS", "LISTEN_PID", "LISTEN_FDNAMES", "TERM"};

}  // namespace

std::vector<std::string> session_environment(char** inherited, const wire::SessionStart& start,
                                             const User& user, const Fd& root) {
  wire::Environment variables;
  for (char** entry = inherited; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text = *entry;
    auto equals = text.find('=');
    if (equals == std::string_view::npos) continue;
    variables.insert_or_assign(std::string(text.substr(0, equals)),
                               std::string(text.substr(equals + 1)));
  }
  for (const char* name : kPrivate) variables.erase(name);
  for (const auto& [name, value] : kStandard) variables.insert_or_assign(name, value);
  for (const auto& [name, value] : kOfUser) variables.insert_or_assign(name, user.*value);
  for (const auto& [name, value] : start.environment) variables.insert_or_assign(name, value);
  if (start.terminal) {
    auto& type = variables["TERM"];
    type = known_terminal_type(root, user.home, type);
  }

  std::vector<std::string> entries;
  entries.reserve(variables.size());
  for (const auto& [name, value] : variables) entries.emplace_back(name).append("=").append(value);
  return entries;
}

}  // namespace capsem::guest::pty_agent
