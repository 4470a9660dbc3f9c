#include "guest/doctor/options.h"

#include <algorithm>

#include "base/text.h"

namespace capsem::guest::doctor {
namespace {

std::unexpected<Error> refuse(std::string reason) {
  return fail("run", "capsem-doctor", std::move(reason), "see capsem-doctor --help",
              ErrorKind::kInvalid);
}

struct Flag {
  std::string_view word;
  bool Options::* member;
};
constexpr Flag kFlags[] = {{"--help", &Options::help},
                           {"-h", &Options::help},
                           {"--list", &Options::list},
                           {"--json", &Options::json}};

struct Valued {
  std::string_view word;
  const char* needs;
  void (*set)(Options& options, std::string value);
};
constexpr Valued kValued[] = {
    {"--only", "a group",
     [](Options& options, std::string value) { options.only.push_back(std::move(value)); }},
    {"--skip", "a group",
     [](Options& options, std::string value) { options.skip.push_back(std::move(value)); }},
    {"--junit", "a file",
     [](Options& options, std::string value) { options.junit = std::move(value); }},
};

Result<> check(const Options& options, const std::vector<std::string>& groups) {
  for (const auto* named : {&options.only, &options.skip})
    for (const auto& group : *named)
      if (std::ranges::find(groups, group) == groups.end())
        return refuse("there is no group '" + printable(group) + "' (there are " +
                      join(groups, ", ") + ")");
  if (std::ranges::all_of(groups,
                          [&](const std::string& group) { return leaves_out(options, group); }))
    return refuse("--only and --skip leave no group");
  if (options.json && options.junit == "-")
    return refuse("--json and --junit - would both write to standard output");
  if (options.list && (options.json || options.junit)) return refuse("--list makes no report");
  return {};
}

}  // namespace

bool leaves_out(const Options& options, const std::string& group) {
  auto holds = [&](const std::vector<std::string>& names) {
    return std::ranges::find(names, group) != names.end();
  };
  return (!options.only.empty() && !holds(options.only)) || holds(options.skip);
}

const char* const kHelp =
    "usage: capsem-doctor [--only GROUP]... [--skip GROUP]... [--json] [--junit FILE] [--list]\n"
    "\n"
    "Checks whether this guest is as it should be, and then runs its diagnostics.\n"
    "\n"
    "  --only GROUP   only the checks of this group; may be repeated\n"
    "  --skip GROUP   all but the checks of this group; may be repeated\n"
    "  --json         one JSON object in place of the table\n"
    "  --junit FILE   a report for JUnit's readers too; - for standard output, without the table\n"
    "  --list         the groups, or, with --only or --skip, the checks of those that are left\n"
    "\n"
    "exit status: 0 no check failed, 1 one did or the report could not be written, 2 wrong usage\n";

Result<Options> parse_options(const std::vector<std::string_view>& words,
                              const std::vector<std::string>& groups) {
  Options options;
  for (std::size_t i = 0; i < words.size(); ++i) {
    auto word = words[i];
    auto flag = std::ranges::find(kFlags, word, &Flag::word);
    if (flag != std::end(kFlags)) {
      options.*flag->member = true;
      continue;
    }
    auto equals = word.find('=');
    auto valued = std::ranges::find(kValued, word.substr(0, equals), &Valued::word);
    if (valued == std::end(kValued))
      return refuse("the word '" + printable(word) + "' is not known");
    if (equals == std::string_view::npos && ++i == words.size())
      return refuse(std::string(valued->word) + " needs " + valued->needs);
    valued->set(options,
                std::string(equals == std::string_view::npos ? words[i] : word.substr(equals + 1)));
  }
  if (options.help) return options;
  if (auto checked = check(options, groups); !checked) return propagate(checked);
  return options;
}

}  // namespace capsem::guest::doctor
