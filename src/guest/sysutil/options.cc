#include "guest/sysutil/options.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/text.h"

namespace capsem::guest::sysutil {
namespace {

using wire::LifecycleAction;

constexpr const char* kOwnName = "capsem-sysutil";
constexpr std::int64_t kMaxMinutes = 366LL * 24 * 60;
constexpr std::int64_t kMaxGraceSeconds = 3600;

// Which command line it is; one bit each.
enum Family : unsigned { kShutdown = 1, kHalt = 2, kOwn = 4 };

struct Program {
  std::string_view name;
  Family family;
  LifecycleAction action;
  std::string_view usage;
};
constexpr std::array kPrograms = {
    Program{"shutdown", kShutdown, LifecycleAction::kPoweroff, "[OPTION...] [TIME] [MESSAGE...]"},
    Program{"halt", kHalt, LifecycleAction::kPoweroff, "[OPTION...]"},
    Program{"poweroff", kHalt, LifecycleAction::kPoweroff, "[OPTION...]"},
    Program{"reboot", kHalt, LifecycleAction::kReboot, "[OPTION...]"},
    Program{"suspend", kOwn, LifecycleAction::kSuspend, "[OPTION...]"},
};

struct Action {
  std::string_view word;
  LifecycleAction action;
  std::string_view help;
  std::string_view attempt;
};
// Of capsem-sysutil; the first of those with one action names it.
constexpr std::array kActions = {
    Action{"poweroff", LifecycleAction::kPoweroff,
           "end the VM: its processes are asked to end, then it is switched off",
           "switch off the VM"},
    Action{"shutdown", LifecycleAction::kPoweroff, "the same", ""},
    Action{"halt", LifecycleAction::kPoweroff,
           "the same: a VM that is halted but on is of use to nobody", ""},
    Action{"reboot", LifecycleAction::kReboot, "the same, and start the system again",
           "reboot the VM"},
    Action{"suspend", LifecycleAction::kSuspend, "not possible yet: the host cannot suspend a VM",
           "suspend the VM"},
    Action{"cancel", LifecycleAction::kCancel, "take back a shutdown that is pending",
           "cancel the shutdown"},
    Action{"show", LifecycleAction::kShow, "print what is pending", "show what is pending"},
};

enum class Effect {
  kPoweroff,
  kReboot,
  kCancel,
  kShow,
  kForce,
  kGrace,  // takes a number of seconds
  kHelp,
  kNothing,      // what it asks for is so anyway
  kRefuse,       // the text says why
  kRefuseValue,  // the same, of an option that takes a value
};

struct Option {
  unsigned families;
  char letter;            // 0: it has none
  std::string_view word;  // empty: it has none
  Effect effect;
  std::string_view text;
};

constexpr std::string_view kNoFileSystem = "there is no file system to check";

constexpr std::array kOptions = {
    // All of them.
    Option{kShutdown | kHalt | kOwn, 0, "help", Effect::kHelp, "print this"},
    Option{kOwn, 'h', "", Effect::kHelp, "print this"},
    Option{kShutdown | kHalt | kOwn, 0, "grace", Effect::kGrace,
           "SECONDS between TERM and KILL to the processes of the VM; 10 by default"},
    Option{kHalt | kOwn, 'f', "force", Effect::kForce,
           "ask the VM's init rather than the host, with 1 s between TERM and KILL"},
    // shutdown(8)
    Option{kShutdown, 'h', "", Effect::kPoweroff, "switch off"},
    Option{kShutdown, 'P', "poweroff", Effect::kPoweroff, "switch off"},
    Option{kShutdown, 'H', "halt", Effect::kPoweroff,
           "switch off: a VM that is halted but on is of use to nobody"},
    Option{kShutdown, 'r', "reboot", Effect::kReboot, "reboot"},
    Option{kShutdown, 'c', "", Effect::kCancel, "cancel what is pending"},
    Option{kShutdown, 0, "show", Effect::kShow, "print what is pending"},
    Option{kShutdown, 't', "", Effect::kGrace, "the same as --grace"},
    Option{kShutdown, 'k', "", Effect::kRefuse, "nobody is told but with a shutdown"},
    Option{kShutdown, 'K', "kexec", Effect::kRefuse, "the host loads the VM's kernel"},
    Option{kShutdown, 'a', "", Effect::kRefuse, "no list of permitted users is kept"},
    Option{kShutdown, 'n', "", Effect::kRefuse, "only the VM's init can end it"},
    Option{kShutdown, 'f', "", Effect::kNothing, kNoFileSystem},
    Option{kShutdown, 'F', "", Effect::kRefuse, kNoFileSystem},
    // halt(8), poweroff(8), reboot(8)
    Option{kHalt, 'p', "poweroff", Effect::kPoweroff, "switch off"},
    Option{kHalt, 0, "halt", Effect::kPoweroff, "switch off"},
    Option{kHalt, 0, "reboot", Effect::kReboot, "reboot"},
    Option{kHalt, 'w', "wtmp-only", Effect::kRefuse, "no record of shutdowns is kept"},
    Option{kHalt, 'd', "no-wtmp", Effect::kNothing, "no record of shutdowns is kept"},
    Option{kHalt, 'n', "no-sync", Effect::kRefuse, "the VM's init writes back in any case"},
    Option{kHalt, 'i', "", Effect::kNothing, "there is no network interface to shut down"},
    Option{kHalt, 'h', "", Effect::kRefuse,
           "there is no drive to put into standby; the help is --help"},
    Option{kHalt, 0, "firmware-setup", Effect::kRefuse, "a VM has no firmware settings"},
    Option{kHalt, 0, "boot-loader-menu", Effect::kRefuseValue, "a VM has no boot loader"},
    Option{kHalt, 0, "boot-loader-entry", Effect::kRefuseValue, "a VM has no boot loader"},
    Option{kShutdown | kHalt, 0, "no-wall", Effect::kNothing, "nobody is logged in to be told"},
};

std::string spelled(const Option& option) {
  std::string text;
  if (option.letter != 0) text = std::string("-") + option.letter;
  if (option.word.empty()) return text;
  return text + (text.empty() ? "--" : ", --") + std::string(option.word);
}

std::optional<std::int64_t> number(std::string_view text, std::int64_t most) {
  std::int64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  bool good = error == std::errc() && end == text.data() + text.size() && text.front() != '-';
  if (!good || value > most) return std::nullopt;
  return value;
}

// "now", "+5", "5" or "23:30", which is the next time that it is so late.
std::optional<std::chrono::seconds> parse_time(std::string_view text, const tm& now) {
  constexpr std::int64_t kDay = 24 * 3600;
  if (text == "now") return std::chrono::seconds(0);
  auto colon = text.find(':');
  if (colon == std::string_view::npos) {
    auto minutes = number(text.starts_with('+') ? text.substr(1) : text, kMaxMinutes);
    if (!minutes) return std::nullopt;
    return std::chrono::minutes(*minutes);
  }
  auto hour = number(text.substr(0, colon), 23);
  auto minute = number(text.substr(colon + 1), 59);
  if (!hour || !minute || text.size() - colon != 3) return std::nullopt;
  auto wanted = (*hour * 60 + *minute) * 60;
  auto present = (std::int64_t{now.tm_hour} * 60 + now.tm_min) * 60 + now.tm_sec;
  return std::chrono::seconds(wanted > present ? wanted - present : wanted - present + kDay);
}

class Parser {
 public:
  Parser(std::span<const std::string_view> words, const tm& now) : now_(now) {
    auto path = words.empty() ? std::string_view() : words.front();
    name_ = path.substr(path.rfind('/') + 1);
    rest_ = words.subspan(std::min<std::size_t>(1, words.size()));
    const auto* program = std::ranges::find(kPrograms, name_, &Program::name);
    if (program == kPrograms.end()) return;
    family_ = program->family;
    command_.action = program->action;
    named_ = true;
  }

  Result<Command> parse() {
    bool options_end = false;
    while (!rest_.empty()) {
      auto word = take();
      Result<> done;
      if (options_end || word.size() < 2 || word.front() != '-')
        words_.push_back(word);
      else if (word == "--")
        options_end = true;
      else
        done = word.starts_with("--") ? take_long(word.substr(2)) : take_letters(word.substr(1));
      if (!done) return propagate(done);
      if (command_.help) return command_;
    }
    auto done = family_ == kShutdown ? take_time() : take_words();
    if (!done) return propagate(done);
    return command_;
  }

 private:
  std::string_view take() {
    auto word = rest_.front();
    rest_ = rest_.subspan(1);
    return word;
  }

  std::unexpected<Error> misused(std::string reason) const {
    return fail("understand", "the command line", std::move(reason),
                "see " + std::string(named_ ? name_ : kOwnName) + " --help", ErrorKind::kInvalid);
  }

  Result<> take_long(std::string_view text) {
    auto equals = text.find('=');
    auto word = text.substr(0, equals);
    std::optional<std::string_view> value;
    if (equals != std::string_view::npos) value = text.substr(equals + 1);
    for (const auto& option : kOptions)
      if ((option.families & family_) != 0 && option.word == word && !word.empty())
        return apply(option, "--" + std::string(word), value);
    return misused("there is no option --" + std::string(word));
  }

  Result<> take_letters(std::string_view letters) {
    while (!letters.empty()) {
      char letter = letters.front();
      letters.remove_prefix(1);
      auto is_it = [&](const Option& option) {
        return (option.families & family_) != 0 && option.letter == letter;
      };
      const auto* option = std::ranges::find_if(kOptions, is_it);
      auto spelling = std::string("-") + letter;
      if (option == kOptions.end()) return misused("there is no option " + spelling);
      std::optional<std::string_view> value;
      if (option->effect == Effect::kGrace && !letters.empty())
        value = std::exchange(letters, std::string_view());
      if (auto applied = apply(*option, spelling, value); !applied) return applied;
    }
    return {};
  }

  Result<> apply(const Option& option, const std::string& spelling,
                 std::optional<std::string_view> value) {
    bool takes_value = option.effect == Effect::kGrace || option.effect == Effect::kRefuseValue;
    if (value && !takes_value) return misused(spelling + " takes no value");
    switch (option.effect) {
      case Effect::kPoweroff:
        command_.action = LifecycleAction::kPoweroff;
        break;
      case Effect::kReboot:
        command_.action = LifecycleAction::kReboot;
        break;
      case Effect::kCancel:
        command_.action = LifecycleAction::kCancel;
        break;
      case Effect::kShow:
        command_.action = LifecycleAction::kShow;
        break;
      case Effect::kForce:
        command_.ask_init = true;
        break;
      case Effect::kHelp:
        command_.help = true;
        break;
      case Effect::kGrace:
        return take_grace(spelling, value);
      case Effect::kNothing:
        break;
      case Effect::kRefuse:
      case Effect::kRefuseValue:
        return fail("do what", spelling + " asks for", std::string(option.text));
    }
    return {};
  }

  Result<> take_grace(const std::string& spelling, std::optional<std::string_view> value) {
    if (!value && !rest_.empty()) value = take();
    auto seconds = value && !value->empty() ? number(*value, kMaxGraceSeconds) : std::nullopt;
    if (!seconds) return misused(spelling + " takes a number of seconds, an hour at most");
    command_.grace = std::chrono::seconds(*seconds);
    return {};
  }

  // shutdown(8): a time, a minute where there is none, and a message; of -c and --show only that.
  Result<> take_time() {
    std::span<const std::string_view> message = words_;
    bool has_time = command_.action == LifecycleAction::kPoweroff ||
                    command_.action == LifecycleAction::kReboot;
    if (has_time) {
      auto text = message.empty() ? std::string_view("+1") : message.front();
      auto delay = text.empty() ? std::nullopt : parse_time(text, now_);
      if (!delay) return misused("'" + printable(text) + "' is no time: now, +MINUTES, or HH:MM");
      command_.delay = *delay;
      message = message.subspan(std::min<std::size_t>(1, message.size()));
    }
    for (auto word : message)
      command_.message += (command_.message.empty() ? "" : " ") + std::string(word);
    return {};
  }

  Result<> take_words() {
    if (!named_) {
      if (words_.empty()) return misused("it names no action");
      const auto* action = std::ranges::find(kActions, words_.front(), &Action::word);
      if (action == kActions.end())
        return misused("there is no action '" + printable(words_.front()) + "'");
      command_.action = action->action;
      words_.erase(words_.begin());
    }
    if (words_.empty()) return {};
    if (name_ == "reboot")
      return fail("do what", "'" + printable(words_.front()) + "' asks for",
                  "a VM's reboot takes no argument");
    return misused("'" + printable(words_.front()) + "' is too much");
  }

  const tm& now_;
  std::string_view name_;
  std::span<const std::string_view> rest_;
  Family family_ = kOwn;
  bool named_ = false;  // an action by the program's name
  Command command_;
  std::vector<std::string_view> words_;  // those that are no options
};

std::string row(const std::string& left, std::string_view right) {
  constexpr std::size_t kColumn = 24;
  auto text = "  " + left;
  text.append(text.size() < kColumn ? kColumn - text.size() : 1, ' ');
  return text + std::string(right) + "\n";
}

}  // namespace

Result<Command> parse(std::span<const std::string_view> words, const tm& now) {
  return Parser(words, now).parse();
}

std::string help_of(std::string_view name) {
  const auto* program = std::ranges::find(kPrograms, name, &Program::name);
  bool named = program != kPrograms.end();
  unsigned family = named ? program->family : kOwn;
  std::string text = "usage: " + std::string(named ? name : kOwnName) + " " +
                     std::string(named ? program->usage : "[OPTION...] ACTION") +
                     "\n\nAsks the host to end this VM in order. Only root may.\n";
  if (!named) {
    text += "\nactions:\n";
    for (const auto& action : kActions) text += row(std::string(action.word), action.help);
    text +=
        "\nThe names shutdown, halt, poweroff, reboot and suspend do the same, with options as\n"
        "elsewhere: shutdown -r +5. (In bash, suspend is a command of the shell itself.)\n";
  }
  if (family == kShutdown)
    text += "\nTIME is now, +MINUTES (+1 by default) or HH:MM; the MESSAGE is told with it.\n";
  text += "\noptions:\n";
  std::string refused;
  for (const auto& option : kOptions) {
    if ((option.families & family) == 0) continue;
    bool refuses = option.effect == Effect::kRefuse || option.effect == Effect::kRefuseValue;
    auto about = std::string(option.text);
    if (option.effect == Effect::kNothing) about = "nothing to do: " + about;
    (refuses ? refused : text) += row(spelled(option), about);
  }
  if (!refused.empty()) text += "\nrefused:\n" + refused;
  return text +
         "\nexit status: 0 it is being done, 1 it cannot be, 2 wrong usage. Whoever asks for an "
         "end\n"
         "at once ends with the VM.\n";
}

std::string_view attempt_of(LifecycleAction action) {
  return std::ranges::find(kActions, action, &Action::action)->attempt;
}

}  // namespace capsem::guest::sysutil
