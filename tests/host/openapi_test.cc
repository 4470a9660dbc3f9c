// src/api/openapi.json against what the server has and sends.
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>
#include <set>
#include <sstream>

#include "api/json.h"
#include "api/routes.h"

namespace capsem::api {
namespace {

using nlohmann::json;

const json& document() {
  static const json kDocument = [] {
    std::ifstream file(CAPSEM_OPENAPI);
    return json::parse(file);
  }();
  return kDocument;
}

// As much of JSON Schema as the document uses: $ref, enum, type, properties, required,
// additionalProperties, items. Returns what is wrong, with where; empty when nothing is.
std::string find_mismatch(const json& value, const json& schema, const std::string& at) {
  if (schema.contains("$ref")) {
    auto name = schema["$ref"].get<std::string>();
    return find_mismatch(value,
                         document()["components"]["schemas"][name.substr(name.rfind('/') + 1)], at);
  }
  if (schema.contains("enum")) {
    for (const auto& word : schema["enum"])
      if (word == value) return "";
    return at + ": " + value.dump() + " is none of " + schema["enum"].dump();
  }
  auto type = schema["type"].get<std::string>();
  if (type == "string") return value.is_string() ? "" : at + " is no string";
  if (type == "boolean") return value.is_boolean() ? "" : at + " is no boolean";
  if (type == "integer") return value.is_number_unsigned() ? "" : at + " is no integer";
  if (type == "array") {
    if (!value.is_array()) return at + " is no array";
    for (const auto& each : value)
      if (auto wrong = find_mismatch(each, schema["items"], at + "[]"); !wrong.empty())
        return wrong;
    return "";
  }
  if (!value.is_object()) return at + " is no object";
  for (const auto& name : schema.value("required", json::array()))
    if (!value.contains(name.get<std::string>())) return at + " lacks " + name.dump();
  for (const auto& [name, member] : value.items()) {
    const auto& others = schema["additionalProperties"];
    bool known = schema.contains("properties") && schema["properties"].contains(name);
    if (!known && !others.is_object()) return at + " has an unknown " + name;
    auto wrong =
        find_mismatch(member, known ? schema["properties"][name] : others, at + "." + name);
    if (!wrong.empty()) return wrong;
  }
  return "";
}

std::string find_mismatch(const std::string& text, const char* schema) {
  return find_mismatch(json::parse(text), document()["components"]["schemas"][schema], schema);
}

TEST(OpenApi, HasTheServersRoutesAndNoOthers) {
  std::set<std::string> ours;
  for (const auto& row : kRoutes)
    ours.insert(std::string(row.method) + " " + std::string(row.path));
  std::set<std::string> theirs;
  for (const auto& [path, methods] : document()["paths"].items())
    for (const auto& [method, operation] : methods.items()) {
      std::string upper = method;
      for (char& each : upper) each = static_cast<char>(std::toupper(each));
      theirs.insert(upper + " " + path);
    }
  EXPECT_EQ(ours, theirs);
}

TEST(OpenApi, DescribesWhatIsSent) {
  Vm vm;
  EXPECT_EQ(find_mismatch(to_json(vm), "Vm"), "");
  vm.state = State::kEnded;
  vm.accelerator = Accelerator{.name = "tcg", .reason = "r", .fresh = true};
  vm.timeline = {{"a", 1, 2}};
  vm.guest = Guest{};
  vm.guest->steps = {{"modules", 1, 2}};
  vm.guest->entries = {{.name = "x", .origin = Origin::kRootfs, .sha256 = Digest{}},
                       {.name = "y", .origin = Origin::kAbsent, .sha256 = {}}};
  for (auto kind :
       {EndKind::kStopped, EndKind::kPoweredOff, EndKind::kRebooted, EndKind::kFailed}) {
    vm.end = End{.kind = kind, .error = Error("a", "b", "c")};
    EXPECT_EQ(find_mismatch(to_json(vm), "Vm"), "");
  }
  for (auto kind : {EventKind::kState, EventKind::kService, EventKind::kWarning})
    EXPECT_EQ(find_mismatch(to_json(Event{.sequence = 1, .kind = kind, .text = "t"}), "Event"), "");
  EXPECT_EQ(find_mismatch(to_json(Stop{.grace_ms = 1}), "Stop"), "");
  EXPECT_EQ(find_mismatch(to_json(Question{.id = 1, .what = "w"}), "Question"), "");
  EXPECT_EQ(find_mismatch(to_json(Answer{.id = 1, .allowed = true}), "Answer"), "");
  for (int kind = 0; kind <= static_cast<int>(ErrorKind::kInterrupted); ++kind)
    EXPECT_EQ(find_mismatch(
                  to_json(Failure{.error = Error("a", "b", "c", "d", static_cast<ErrorKind>(kind)),
                                  .console = {"l"}}),
                  "Failure"),
              "");
}

TEST(OpenApi, TheLimitsOfAStopAreTheServers) {
  const auto& grace = document()["components"]["schemas"]["Stop"]["properties"]["grace_ms"];
  EXPECT_EQ(grace["maximum"], Stop::kMaxGraceMs);
  EXPECT_EQ(grace["default"], Stop().grace_ms);
}

TEST(OpenApi, TheCheckFindsWhatIsWrong) {
  EXPECT_NE(find_mismatch(R"({"state":"running"})", "Vm"), "");
  EXPECT_NE(find_mismatch(R"({"state":"asleep","timeline":[]})", "Vm"), "");
  EXPECT_NE(find_mismatch(R"({"state":"running","timeline":[],"more":1})", "Vm"), "");
}

}  // namespace
}  // namespace capsem::api
