#include "client/environment.h"

#include <fcntl.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "base/fd.h"
#include "base/text.h"

namespace capsem::client {
namespace {

// Of a name in an error.
constexpr std::size_t kShownBytes = 64;

constexpr const char* kLoader = "has the dynamic loader or the C library load other code or data";
constexpr const char* kShell = "has shells run what it says beside the command";
constexpr const char* kWords = "changes how shells read the command";
constexpr const char* kInterpreter = "has an interpreter load or run code besides the command's";

struct Refused {
  std::string_view name;  // with '*' at its end: all names that begin so
  const char* reason;
};

// Variables whose value makes a program run or load code, or read its words otherwise, without the
// command saying so: such a value may come from a file that somebody else wrote. Those of glibc are
// what it drops for set-user-ID programs itself (unsecvars.h) but for TMPDIR, TZDIR and the
// resolver's, which lead to no code; those of shells and interpreters are what sudo drops
// (sudoers(5), env_delete), and what their manuals have besides. PATH, SHELL, EDITOR, PAGER,
// GIT_SSH_COMMAND and the like are not here: to name a program is what they are for.
constexpr Refused kRefused[] = {
    // ld.so(8), LD_PRELOAD, LD_LIBRARY_PATH and LD_AUDIT among them
    {"LD_*", kLoader},
    {"GLIBC_TUNABLES", kLoader},
    {"GCONV_PATH", kLoader},   // iconv(3): shared objects
    {"GETCONF_DIR", kLoader},  // getconf(1): programs
    {"LOCPATH", kLoader},      // compiled locales, which the C library trusts
    {"NLSPATH", kLoader},      // catalogs, whose texts become formats of printf(3)
    {"MALLOC_TRACE", kLoader},
    {"OPENSSL_CONF", kLoader},  // openssl-env(7): shared objects of engines and providers
    {"OPENSSL_ENGINES", kLoader},
    {"OPENSSL_MODULES", kLoader},

    // bash(1), sh(1), zsh(1)
    {"BASH_ENV", kShell},
    {"ENV", kShell},
    {"BASH_FUNC_*", kShell},  // exported functions, which may be called like commands
    {"BASH_LOADABLES_PATH", kShell},
    {"PROMPT_COMMAND", kShell},
    {"PS0", kShell},  // the prompts are expanded, with command substitution
    {"PS1", kShell},
    {"PS2", kShell},
    {"PS4", kShell},
    {"ZDOTDIR", kShell},
    {"FPATH", kShell},
    {"SHELLOPTS", kWords},
    {"BASHOPTS", kWords},
    {"IFS", kWords},
    {"CDPATH", kWords},
    {"GLOBIGNORE", kWords},

    // python3(1)
    {"PYTHONSTARTUP", kInterpreter},
    {"PYTHONPATH", kInterpreter},
    {"PYTHONHOME", kInterpreter},
    {"PYTHONUSERBASE", kInterpreter},
    {"PYTHONPYCACHEPREFIX", kInterpreter},
    {"PYTHONBREAKPOINT", kInterpreter},
    // perlrun(1)
    {"PERL5OPT", kInterpreter},
    {"PERL5LIB", kInterpreter},
    {"PERLLIB", kInterpreter},
    {"PERL5DB", kInterpreter},
    // ruby(1)
    {"RUBYOPT", kInterpreter},
    {"RUBYLIB", kInterpreter},
    // node(1)
    {"NODE_OPTIONS", kInterpreter},
    {"NODE_PATH", kInterpreter},
    {"NODE_REPL_EXTERNAL_MODULE", kInterpreter},
    // java(1)
    {"JAVA_TOOL_OPTIONS", kInterpreter},
    {"JDK_JAVA_OPTIONS", kInterpreter},
    {"_JAVA_OPTIONS", kInterpreter},
    {"CLASSPATH", kInterpreter},
    // lua(1), with the names of its versions behind them
    {"LUA_INIT*", kInterpreter},
    {"LUA_PATH*", kInterpreter},
    {"LUA_CPATH*", kInterpreter},
    // php(1)
    {"PHPRC", kInterpreter},
    {"PHP_INI_SCAN_DIR", kInterpreter},
};

bool matches(std::string_view pattern, std::string_view name) {
  if (!pattern.ends_with('*')) return pattern == name;
  pattern.remove_suffix(1);
  return name.starts_with(pattern);
}

// Spaces in names are allowed to programs, but are a mistake: "export NAME=VALUE", for one.
bool is_blank_or_control(char c) {
  constexpr unsigned char kSpace = 0x20;
  constexpr unsigned char kDelete = 0x7f;
  auto byte = static_cast<unsigned char>(c);
  return byte <= kSpace || byte == kDelete;
}

std::unexpected<Error> refuse(std::string_view name, const std::string& source, std::string reason,
                              std::string advice = {}) {
  auto shown = name.empty() ? std::string("a variable")
                            : "the variable " + printable(name.substr(0, kShownBytes));
  return fail("take", shown + " of " + source, std::move(reason), std::move(advice),
              ErrorKind::kInvalid);
}

Result<> check_name(std::string_view name, const std::string& source) {
  if (name.empty()) return refuse(name, source, "it has no name");
  if (std::ranges::any_of(name, is_blank_or_control))
    return refuse(name, source, "its name has a space or a control character");
  if (const char* reason = refusal_of(name))
    return refuse(name, source, std::string("it ") + reason,
                  "where that is meant, set it in the command itself");
  return {};
}

Result<> add_pair(wire::Environment& environment, std::string_view name, std::string_view value,
                  const std::string& source) {
  if (auto checked = check_name(name, source); !checked) return checked;
  if (value.contains('\0')) return refuse(name, source, "its value has a NUL byte");
  environment.insert_or_assign(std::string(name), std::string(value));
  return {};
}

std::optional<std::string_view> value_in(char* const* own, std::string_view name) {
  for (; own != nullptr && *own != nullptr; ++own) {
    std::string_view entry = *own;
    if (entry.size() > name.size() && entry[name.size()] == '=' && entry.starts_with(name))
      return entry.substr(name.size() + 1);
  }
  return std::nullopt;
}

// Also of what is no file: <(...) of a shell, and what never ends.
Result<std::string> read_variables(const std::string& path) {
  auto file = open_file(path, O_RDONLY);
  if (!file) return propagate(file);
  std::string content(kVariablesFileBytes + 1, '\0');
  auto size = read_full(*file, std::as_writable_bytes(std::span(content)), path);
  if (!size) return propagate(size);
  if (*size > kVariablesFileBytes)
    return fail("read", path,
                "it has more than the " + std::to_string(kVariablesFileBytes) +
                    " bytes that a session may begin with",
                "", ErrorKind::kInvalid);
  content.resize(*size);
  return content;
}

Result<> add_line(wire::Environment& environment, std::string_view line,
                  const std::string& source) {
  if (line.ends_with('\r')) line.remove_suffix(1);  // as text of other systems has it
  line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
  if (line.empty() || line.starts_with('#')) return {};
  auto equals = line.find('=');
  if (equals == std::string_view::npos) return refuse({}, source, "the line is not NAME=VALUE");
  return add_pair(environment, line.substr(0, equals), line.substr(equals + 1), source);
}

}  // namespace

const char* refusal_of(std::string_view name) {
  for (const auto& row : kRefused)
    if (matches(row.name, name)) return row.reason;
  return nullptr;
}

Result<> add_variable(wire::Environment& environment, std::string_view text, char* const* own,
                      const std::string& option) {
  auto equals = text.find('=');
  auto name = text.substr(0, equals);
  if (equals != std::string_view::npos)
    return add_pair(environment, name, text.substr(equals + 1), option);
  if (auto checked = check_name(name, option); !checked) return checked;
  auto value = value_in(own, name);
  if (!value)
    return refuse(name, option, "it has no value, and is not in the environment here",
                  "give it one, as NAME=VALUE");
  return add_pair(environment, name, *value, option);
}

Result<> add_variables_of(wire::Environment& environment, const std::string& path) {
  auto content = read_variables(path);
  if (!content) return propagate(content);
  std::size_t number = 0;
  for (auto line : split(*content, '\n')) {
    ++number;
    auto source = path + ", line " + std::to_string(number);
    if (auto added = add_line(environment, line, source); !added) return added;
  }
  return {};
}

}  // namespace capsem::client
