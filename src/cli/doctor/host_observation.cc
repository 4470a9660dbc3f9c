#include "cli/doctor/host_observation.h"

#include <algorithm>

namespace capsem::cli {
namespace {

Observation from(const Error& error, Health health, const std::string& advice) {
  return {health, error.statement(), error.advice().empty() ? advice : error.advice()};
}

void add(std::string& line, const std::string& text) {
  if (!line.empty()) line += "; ";
  line += text;
}

}  // namespace

Observation as_problem(const Error& error, const std::string& advice) {
  return from(error, Health::kProblem, advice);
}

Observation as_warning(const Error& error, const std::string& advice) {
  return from(error, Health::kWarning, advice);
}

std::string first_and_more(const std::vector<std::string>& things) {
  if (things.empty()) return {};
  if (things.size() == 1) return things.front();
  return things.front() + " and " + std::to_string(things.size() - 1) + " more";
}

Observation together(const std::vector<Observation>& observations) {
  Observation all;
  for (const auto& one : observations) {
    all.health = std::max(all.health, one.health);
  }
  for (const auto& one : observations) {
    if (all.health != Health::kOk && one.health == Health::kOk) continue;
    add(all.seen, one.seen);
    if (all.advice.find(one.advice) == std::string::npos) add(all.advice, one.advice);
  }
  return all;
}

std::string shell_word(const std::string& text) {
  constexpr std::string_view kPlain =
      "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789/._-+,:@=";
  if (!text.empty() && text.find_first_not_of(kPlain) == std::string::npos) return text;
  std::string word = "'";
  for (char c : text) word += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return word + "'";
}

}  // namespace capsem::cli
