// capsem reference FORMAT: the commands and options as they are registered, for documentation, the
// manual page and the completion of shells. Not for people, so not in --help.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/log.h"
#include "cli/command.h"

namespace capsem::cli {
namespace {

struct Option {
  std::vector<std::string> names;  // with their dashes
  std::string value;               // what stands for its value; empty for a flag
  std::string text;
  std::string standard;  // its value when it is not given
};

struct Command {
  std::string name;  // without "capsem"
  std::string text;
  std::string footer;
  std::vector<Option> options;
  std::vector<std::string> operands;
  std::vector<std::string> subcommands;

  // One that takes a command's words as they are has its operands in the footer only.
  bool takes_vm() const {
    return std::ranges::find(operands, "NAME") != operands.end() ||
           footer.find("] NAME ") != std::string::npos;
  }
};

Option option_of(const CLI::Option& of) {
  Option option{
      .names = {}, .value = {}, .text = of.get_description(), .standard = of.get_default_str()};
  for (const auto& name : of.get_snames()) option.names.push_back("-" + name);
  for (const auto& name : of.get_lnames()) option.names.push_back("--" + name);
  if (of.get_items_expected_max() > 0) option.value = of.get_type_name();
  return option;
}

void add_options(const CLI::App& app, Command& command) {
  for (const auto* option : app.get_options()) {
    if (option == app.get_help_ptr()) continue;
    if (!option->get_positional())
      command.options.push_back(option_of(*option));
    else
      command.operands.push_back(option->get_name(true));
  }
}

void add_commands(const CLI::App& app, const std::string& name, std::vector<Command>& commands) {
  Command command{.name = name,
                  .text = app.get_description(),
                  .footer = app.get_footer(),
                  .options = {},
                  .operands = {},
                  .subcommands = {}};
  add_options(app, command);
  std::vector<const CLI::App*> below;
  for (const auto* each : app.get_subcommands([](const CLI::App*) { return true; })) {
    if (each->get_name().empty()) {  // a group of options
      add_options(*each, command);
    } else if (!each->get_group().empty()) {
      command.subcommands.push_back(each->get_name());
      below.push_back(each);
    }
  }
  commands.push_back(std::move(command));
  for (const auto* each : below)
    add_commands(*each, name.empty() ? each->get_name() : name + " " + each->get_name(), commands);
}

std::string joined(const std::vector<std::string>& words, std::string_view between) {
  std::string text;
  for (const auto& word : words) text += (text.empty() ? "" : std::string(between)) + word;
  return text;
}

std::string replaced(std::string text, std::string_view from, std::string_view to) {
  for (auto at = text.find(from); at != std::string::npos; at = text.find(from, at + to.size()))
    text.replace(at, from.size(), to);
  return text;
}

std::string full(const Command& command) {
  return command.name.empty() ? "capsem" : "capsem " + command.name;
}

std::string standard_of(const Option& option) {
  return option.standard.empty() || option.value.empty() ? "" : " (" + option.standard + ")";
}

// ---- docs/cli.md

std::string markdown(const std::vector<Command>& commands) {
  std::string text =
      "# Commands\n\n"
      "Each command with its options and their default values, written by `./dev docs` from what\n"
      "`--help` says. [exit-status.md](exit-status.md) has the exit statuses.\n";
  for (const auto& command : commands) {
    text += "\n## " + full(command) + "\n\n" + command.text + ".\n";
    if (command.text.ends_with('.')) text.erase(text.size() - 2, 1);
    if (!command.operands.empty())
      text += "\nOperands: `" + joined(command.operands, "` `") + "`\n";
    if (!command.options.empty()) text += "\n| option | what it does |\n|---|---|\n";
    for (const auto& option : command.options) {
      auto names = "`" + joined(option.names, "`, `") + "`";
      if (!option.value.empty()) names += " " + replaced(option.value, "|", "\\|");
      text +=
          "| " + names + " | " + replaced(option.text + standard_of(option), "|", "\\|") + " |\n";
    }
    if (!command.footer.empty()) text += "\n" + replaced(command.footer, "\n", "\n\n") + "\n";
  }
  return text;
}

// ---- capsem.1, see man(7)

std::string roff(std::string text) {
  text = replaced(replaced(std::move(text), "\\", "\\e"), "-", "\\-");
  // A line must not begin with what would be a request.
  text = replaced(std::move(text), "\n", "\n\\&");
  return "\\&" + text;
}

std::string manual(const std::vector<Command>& commands) {
  std::string text =
      ".TH CAPSEM 1\n.SH NAME\ncapsem \\- run agents and other untrusted code in an air\\-gapped "
      "Linux VM\n.SH SYNOPSIS\n.B capsem\n.I COMMAND\n[\\fIOPTIONS\\fR] ...\n.SH COMMANDS\n";
  for (const auto& command : commands) {
    if (command.name.empty()) continue;
    text += ".SS " + full(command);
    for (const auto& operand : command.operands) text += " " + operand;
    text += "\n" + roff(command.text) + "\n";
    for (const auto& option : command.options) {
      text += ".TP\n\\fB" + replaced(joined(option.names, ", "), "-", "\\-") + "\\fR";
      if (!option.value.empty()) text += " \\fI" + roff(option.value) + "\\fR";
      text += "\n" + roff(option.text + standard_of(option)) + "\n";
    }
    if (!command.footer.empty())
      text += ".PP\n" + roff(replaced(command.footer, "\n", "\n.PP\n")) + "\n";
  }
  text +=
      ".SH EXIT STATUS\nOf \\fBrun\\fR and \\fBexec\\fR: the command's own; 125 when capsem itself "
      "failed, 126 when the command cannot be executed, 127 when it was not found, 128 + N when "
      "signal N ended it. Of the others: 0 done or yes, 1 no, 2 it could not be done.\n";
  return text;
}

// ---- completion

std::string names_of_options(const Command& command) {
  std::string text = "--help";
  for (const auto& option : command.options)
    for (const auto& name : option.names) text += " " + name;
  return text;
}

constexpr std::string_view kBashHead = R"sh(# bash completion for capsem
_capsem_vms() {
  local record
  for record in "${XDG_STATE_HOME:-$HOME/.local/state}"/capsem/vms/*/vm.json; do
    [ -e "$record" ] || continue
    record=${record%/vm.json}
    echo "${record##*/}"
  done
}
_capsem() {
  local current=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} options= words= vms=
  [ "$COMP_CWORD" -gt 1 ] || command=
  case "$command ${COMP_WORDS[2]}" in
)sh";

constexpr std::string_view kBashTail = R"sh(  esac
  if [[ $current == -* ]]; then
    mapfile -t COMPREPLY < <(compgen -W "$options" -- "$current")
  elif [ -n "$words" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$words" -- "$current")
  elif [ -n "$vms" ]; then
    mapfile -t COMPREPLY < <(compgen -W "$(_capsem_vms)" -- "$current")
  fi
}
complete -o default -F _capsem capsem
)sh";

// The longer of two names has to come first.
std::vector<Command> longest_first(std::vector<Command> commands) {
  std::ranges::stable_sort(commands, [](const Command& a, const Command& b) {
    return std::ranges::count(a.name, ' ') > std::ranges::count(b.name, ' ');
  });
  return commands;
}

std::string bash(const std::vector<Command>& commands) {
  std::string text(kBashHead);
  for (const auto& command : longest_first(commands)) {
    bool nested = command.name.find(' ') != std::string::npos;
    text += "    '" + command.name + (nested ? "'" : " '*") + ") options='" +
            names_of_options(command) + "'";
    if (!command.subcommands.empty()) text += " words='" + joined(command.subcommands, " ") + "'";
    if (command.takes_vm()) text += " vms=1";
    text += " ;;\n";
  }
  return text + std::string(kBashTail);
}

constexpr std::string_view kZshHead = R"sh(#compdef capsem
local -a options subcommands vms
local command=$words[2]
(( CURRENT > 2 )) || command=
case "$command $words[3]" in
)sh";

constexpr std::string_view kZshTail = R"sh(esac
if [[ $PREFIX == -* ]]; then
  compadd -- $options
elif (( $#subcommands )); then
  compadd -- $subcommands
elif (( $#vms )); then
  compadd -- ${XDG_STATE_HOME:-$HOME/.local/state}/capsem/vms/*/vm.json(N:h:t)
else
  _files
fi
)sh";

std::string zsh(const std::vector<Command>& commands) {
  std::string text(kZshHead);
  for (const auto& command : longest_first(commands)) {
    bool nested = command.name.find(' ') != std::string::npos;
    text += "  '" + command.name + (nested ? "'" : " '*") + ") options=(" +
            names_of_options(command) + ")";
    if (!command.subcommands.empty())
      text += " subcommands=(" + joined(command.subcommands, " ") + ")";
    if (command.takes_vm()) text += " vms=(1)";
    text += " ;;\n";
  }
  return text + std::string(kZshTail);
}

struct Format {
  std::string_view name;
  std::string (*write)(const std::vector<Command>&);
};
constexpr std::array kFormats = {Format{"markdown", markdown}, Format{"man", manual},
                                 Format{"bash", bash}, Format{"zsh", zsh}};

}  // namespace

void add_reference(CLI::App& app, Action& action, const Signals&) {
  auto format = std::make_shared<std::string>();
  auto* reference = app.add_subcommand("reference", "Print all commands and options");
  reference->group("");
  std::vector<std::string> names;
  names.reserve(kFormats.size());
  for (const auto& each : kFormats) names.emplace_back(each.name);
  reference->add_option("FORMAT", *format)->required()->check(CLI::IsMember(names));
  reference->callback([&action, &app, format] {
    action = [&app, format]() -> int {
      std::vector<Command> commands;
      add_commands(app, "", commands);
      const auto* chosen = std::ranges::find(kFormats, *format, &Format::name);
      auto printed = print(chosen->write(commands));
      return printed ? kSuccess : report(printed.error());
    };
  });
}

}  // namespace capsem::cli
