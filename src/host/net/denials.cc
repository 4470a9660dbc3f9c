#include "host/net/denials.h"

#include <utility>

#include "base/text.h"
#include "host/net/policy_text.h"

namespace capsem::host::net {
namespace {

// The guest names methods, paths and programs of any length.
constexpr std::size_t kLongestText = 256;

std::string place_of(const Question& question) {
  auto host = question.host;
  if (host.empty()) {
    host = question.flow.address.to_string();
    if (question.flow.address.is_v6()) host = "[" + host + "]";
  }
  return host + ":" + std::to_string(question.flow.port);
}

}  // namespace

std::string shortened(std::string text) {
  if (text.size() > kLongestText) text = text.substr(0, kLongestText) + "...";
  return printable(text);
}

std::string what_of(const Question& question) {
  if (!question.request) return place_of(question);
  return shortened(question.request->method) + " " + place_of(question) +
         shortened(question.request->path);
}

std::string what_of_name(const std::string& name) {
  return "the name " + shortened(name);
}

std::string Denial::text() const {
  std::string who;
  if (!process.executable.empty()) who = " (" + shortened(process.executable) + ")";
  return "the network refused " + what + who + ": " + reason +
         (option.empty() ? "" : "; to allow it: " + option);
}

void Denials::add(const Question& question, std::string reason, bool advice,
                  Clock::time_point now) {
  Denial denial{.what = what_of(question),
                .reason = shortened(std::move(reason)),
                .option = advice ? option_to_allow(question).value_or("") : "",
                .rule = {},
                .process = question.flow.process};
  if (auto rule = advice ? rule_to_allow(question) : std::nullopt) denial.rule = write_rule(*rule);
  add(std::move(denial), now);
}

void Denials::add_name(const std::string& name, std::string reason, Clock::time_point now) {
  // Its port is not known yet: that of HTTPS, as for a rule that names none.
  constexpr std::uint16_t kHttps = 443;
  const Question question{
      .host = name, .flow = {.address = {}, .port = kHttps, .process = {}}, .request = {}};
  Denial denial{.what = what_of_name(name),
                .reason = std::move(reason),
                .option = option_to_allow(question).value_or(""),
                .rule = {},
                .process = {}};
  if (auto rule = rule_to_allow(question)) denial.rule = write_rule(*rule);
  add(std::move(denial), now);
}

void Denials::add(Denial denial, Clock::time_point now) {
  auto known = by_what_.find(denial.what);
  bool is_new = known == by_what_.end();
  if (is_new && denials_.size() == kMaxDenials) {
    by_what_.erase(denials_.back().what);
    denials_.pop_back();
  }
  denial.count = is_new ? 1 : known->second.place->count + 1;
  bool tells = is_new || now - known->second.told >= kQuiet;
  auto told = tells ? now : known->second.told;
  if (!is_new) denials_.erase(known->second.place);
  denials_.push_front(std::move(denial));
  by_what_[denials_.front().what] = {denials_.begin(), told};
  if (tells) tell_(denials_.front());
}

void Denials::clear() {
  denials_.clear();
  by_what_.clear();
}

}  // namespace capsem::host::net
