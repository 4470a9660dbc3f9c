#include "guest/doctor/report.h"

#define JSON_NO_IO 1  // iostreams would double the size of the guest's programs
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace capsem::guest::doctor {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

double seconds(std::chrono::microseconds time) {
  return static_cast<double>(time.count()) / 1e6;
}

}  // namespace

std::string json_of(const Report& report) {
  auto counts = count(report.checks());
  auto checks = json::array();
  for (const auto& check : report.checks())
    checks.push_back({{"group", check.group},
                      {"name", check.name},
                      {"expected", check.expected},
                      {"seen", check.outcome.seen},
                      {"verdict", word_of(check.outcome.verdict)},
                      {"seconds", seconds(check.took)}});
  json whole = {{"version", kVersion},        {"passed", counts.passed},
                {"failed", counts.failed},    {"skipped", counts.skipped},
                {"absent", counts.absent},    {"processor_seconds", seconds(report.processor_time)},
                {"checks", std::move(checks)}};
  return json_text(whole, 1) + "\n";
}

}  // namespace capsem::guest::doctor
