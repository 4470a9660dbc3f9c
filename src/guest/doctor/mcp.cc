// The guest's MCP server, spoken to as a client does.
#include <array>
#include <optional>

#define JSON_NO_IO 1  // iostreams would double the size of the guest's programs
#include <nlohmann/json.hpp>

#include "base/text.h"
#include "guest/doctor/child.h"
#include "guest/doctor/host_services.h"

namespace capsem::guest::doctor {
namespace {

using nlohmann::json;

constexpr const char* kServer = "/capsem/bin/capsem-mcp-server";
constexpr std::chrono::seconds kLimit{10};

constexpr const char* kRequests =
    R"({"jsonrpc":"2.0","id":1,"method":"initialize","params":{"protocolVersion":"2025-06-18",)"
    R"("capabilities":{},"clientInfo":{"name":"capsem-doctor","version":"1"}}})"
    "\n"
    R"({"jsonrpc":"2.0","method":"notifications/initialized"})"
    "\n"
    R"({"jsonrpc":"2.0","id":2,"method":"tools/list"})"
    "\n";

// The member `name` of the result in the answer to request `id`; nothing without one.
std::optional<json> member_of_result(std::string_view output, int id, const char* name) {
  for (auto line : split(output, '\n')) {
    auto answer = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!answer.is_object() || answer.value("id", json()) != json(id)) continue;
    auto result = answer.value("result", json());
    if (result.is_object() && result.contains(name)) return result[name];
  }
  return std::nullopt;
}

Outcome converse(Outcome (*judge)(std::string_view output)) {
  auto ran = run_program({kServer}, kRequests, kLimit);
  if (!ran) return expect(false, ran.error().message());
  if (!ran->status.success()) return expect(false, ran->status.describe() + " " + ran->errors);
  return judge(ran->output);
}

Outcome initialized(std::string_view output) {
  auto version = member_of_result(output, 1, "protocolVersion");
  if (!version || !version->is_string()) return expect(false, "no answer to initialize");
  auto text = version->get<std::string>();
  return expect(text == "2025-06-18", text);
}

Outcome tools_listed(std::string_view output) {
  auto tools = member_of_result(output, 2, "tools");
  if (!tools || !tools->is_array()) return expect(false, "no answer to tools/list");
  return expect(true, std::to_string(tools->size()) + " tools");
}

constexpr std::array kRows = {
    CheckRow{"initialize", "answered, with version 2025-06-18",
             [](const Guest&) { return converse(initialized); }},
    CheckRow{"tools/list", "answered with a list",
             [](const Guest&) { return converse(tools_listed); }},
};

}  // namespace

Items mcp_items(const Guest& guest) {
  return items_of(kRows, guest);
}

}  // namespace capsem::guest::doctor
