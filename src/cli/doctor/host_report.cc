#include <algorithm>
#include <array>
#include <cstdio>
#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"
#include "cli/doctor/host_check.h"

namespace capsem::cli {
namespace {

constexpr Health kHealths[] = {Health::kOk, Health::kWarning, Health::kProblem};

// SGR 32, 33 and 31: green, yellow, red.
const char* colour(Health health) {
  constexpr std::array kColours = {"\033[32m", "\033[33m", "\033[1;31m"};
  return kColours.at(static_cast<std::size_t>(health));
}

std::size_t count(std::span<const CheckResult> results, Health health) {
  return static_cast<std::size_t>(std::ranges::count(
      results, health, [](const CheckResult& result) { return result.observation.health; }));
}

std::string padded(std::string text, std::size_t width) {
  text.resize(std::max(width, text.size()), ' ');
  return text;
}

std::string summary(std::span<const CheckResult> results) {
  auto text = std::to_string(results.size()) +
              " checks: " + std::to_string(count(results, Health::kOk)) + " ok";
  for (auto [health, one, many] : {std::tuple(Health::kWarning, "warning", "warnings"),
                                   std::tuple(Health::kProblem, "problem", "problems")}) {
    auto number = count(results, health);
    text += ", " + std::to_string(number) + " " + (number == 1 ? one : many);
  }
  return text;
}

}  // namespace

std::string report_text(std::span<const CheckResult> results, bool coloured) {
  constexpr std::size_t kHealthWidth = 9;
  std::size_t name_width = 0;
  for (const auto& result : results)
    name_width = std::max(name_width, std::string_view(result.name).size() + 2);
  std::string text;
  for (const auto& result : results) {
    const auto& observation = result.observation;
    auto word = padded(name(observation.health), kHealthWidth);
    text += coloured ? colour(observation.health) + word + "\033[0m" : word;
    text += padded(result.name, name_width) + printable(observation.seen) + "\n";
    if (!observation.advice.empty())
      text += std::string(kHealthWidth + name_width, ' ') + "-> " + printable(observation.advice) +
              "\n";
  }
  return text + summary(results) + "\n";
}

std::string report_json(std::span<const CheckResult> results) {
  using Json = nlohmann::ordered_json;
  Json root;
  for (auto health : kHealths) root[name(health)] = count(results, health);
  root["checks"] = Json::array();
  for (const auto& result : results)
    root["checks"].push_back({{"name", result.name},
                              {"health", name(result.observation.health)},
                              {"seen", result.observation.seen},
                              {"advice", result.observation.advice},
                              {"milliseconds", result.took.count()}});
  return json_text(root, 2) + "\n";
}

}  // namespace capsem::cli
