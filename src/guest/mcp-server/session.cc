#include "guest/mcp-server/session.h"

#include <algorithm>
#include <array>

#define JSON_NO_IO 1  // iostreams would double the size of the guest's programs
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace capsem::guest::mcp_server {
namespace {

using nlohmann::json;

// JSON-RPC 2.0, section 5.1.
constexpr int kParseError = -32700;
constexpr int kInvalidRequest = -32600;
constexpr int kMethodNotFound = -32601;
constexpr int kInvalidParams = -32602;

struct Revision {
  std::string_view name;
  bool batches;  // several messages in an array
};

// What we speak, newest first; a client that asks for another is offered the newest.
constexpr std::array kRevisions = {
    Revision{"2025-06-18", false},
    Revision{"2025-03-26", true},
    Revision{"2024-11-05", true},
};

constexpr const char* kInstructions =
    "This is a capsem virtual machine without network access. Its host offers no tools, resources "
    "or prompts.";

json result(const json& id, json value) {
  return {{"jsonrpc", "2.0"}, {"id", id}, {"result", std::move(value)}};
}

json error(const json& id, int code, std::string message) {
  return {
      {"jsonrpc", "2.0"}, {"id", id}, {"error", {{"code", code}, {"message", std::move(message)}}}};
}

const json* member(const json& object, const char* key) {
  auto found = object.find(key);
  return found == object.end() ? nullptr : &*found;
}

const std::string* string_member(const json& object, const char* key) {
  const auto* value = member(object, key);
  return value == nullptr ? nullptr : value->get_ptr<const std::string*>();
}

std::string text_of(const json& message) {
  return json_text(message);
}

// A method's answer. `version` is the session's.
using Method = json (*)(const json& id, const json& params, std::string_view& version);

json initialize(const json& id, const json& params, std::string_view& version) {
  const auto* wanted = string_member(params, "protocolVersion");
  if (wanted == nullptr)
    return error(id, kInvalidParams, "initialize needs the parameter protocolVersion, a string");
  version = kRevisions.front().name;
  for (const auto& revision : kRevisions)
    if (revision.name == *wanted) version = revision.name;
  return result(id, {{"protocolVersion", version},
                     {"capabilities", {{"tools", json::object()}}},
                     {"serverInfo", {{"name", "capsem-mcp-server"}, {"version", "0.1.0"}}},
                     {"instructions", kInstructions}});
}

json ping(const json& id, const json& /*params*/, std::string_view& /*version*/) {
  return result(id, json::object());
}

json list_tools(const json& id, const json& /*params*/, std::string_view& /*version*/) {
  return result(id, {{"tools", json::array()}});
}

json call_tool(const json& id, const json& params, std::string_view& /*version*/) {
  const auto* name = string_member(params, "name");
  if (name == nullptr)
    return error(id, kInvalidParams, "tools/call needs the parameter name, a string");
  return error(id, kInvalidParams,
               "there is no tool \"" + *name + "\": this VM's host offers no tools");
}

struct MethodRow {
  std::string_view name;
  bool before_initialize;
  Method answer;
};

constexpr std::array kMethods = {
    MethodRow{"initialize", true, initialize},
    MethodRow{"ping", true, ping},
    MethodRow{"tools/list", false, list_tools},
    MethodRow{"tools/call", false, call_tool},
};

json answer_request(const std::string& method, const json& id, const json& params,
                    std::string_view& version) {
  for (const auto& row : kMethods) {
    if (row.name != method) continue;
    if (version.empty() && !row.before_initialize)
      return error(id, kInvalidRequest, "the session has not begun: send initialize first");
    return row.answer(id, params, version);
  }
  return error(id, kMethodNotFound, "there is no method \"" + method + "\"");
}

// The answer to one message that is not a batch; nothing for a notification or a response.
std::optional<json> answer(const json& message, std::string_view& version) {
  if (!message.is_object()) return error(nullptr, kInvalidRequest, "a message is a JSON object");
  const auto* id = member(message, "id");
  bool good_id = id == nullptr || id->is_string() || id->is_number_integer();
  json answer_id;  // null where the message has none that could be repeated
  if (id != nullptr && good_id) answer_id = *id;
  const auto* protocol = string_member(message, "jsonrpc");
  if (protocol == nullptr || *protocol != "2.0")
    return error(answer_id, kInvalidRequest, "the member jsonrpc has to be \"2.0\"");
  const auto* method = string_member(message, "method");
  if (method == nullptr) {
    // This server asks its client nothing, so a response answers nothing.
    if (message.contains("result") || message.contains("error")) return std::nullopt;
    return error(answer_id, kInvalidRequest, "a request has a member method, a string");
  }
  if (!good_id) return error(nullptr, kInvalidRequest, "a request's id is a string or an integer");
  if (id == nullptr) return std::nullopt;
  const auto* params = member(message, "params");
  if (params != nullptr && !params->is_object())
    return error(*id, kInvalidParams, "params has to be a JSON object");
  static const json kNone = json::object();
  return answer_request(*method, *id, params != nullptr ? *params : kNone, version);
}

std::optional<json> answer_batch(const json& batch, std::string_view& version) {
  auto revision = std::find_if(kRevisions.begin(), kRevisions.end(),
                               [&](const Revision& row) { return row.name == version; });
  if (revision == kRevisions.end() || !revision->batches)
    return error(nullptr, kInvalidRequest, "batches are not part of this protocol version");
  if (batch.empty()) return error(nullptr, kInvalidRequest, "a batch has at least one message");
  auto answers = json::array();
  for (const auto& message : batch)
    if (auto one = answer(message, version)) answers.push_back(std::move(*one));
  if (answers.empty()) return std::nullopt;
  return answers;
}

}  // namespace

std::optional<std::string> Session::handle(std::string_view line) {
  if (line.find_first_not_of(" \t\r") == std::string_view::npos) return std::nullopt;
  auto message = json::parse(line, nullptr, /*allow_exceptions=*/false);
  if (message.is_discarded()) return text_of(error(nullptr, kParseError, "the line is not JSON"));
  auto reply = message.is_array() ? answer_batch(message, version_) : answer(message, version_);
  if (!reply) return std::nullopt;
  return text_of(*reply);
}

std::string Session::too_long() {
  return text_of(error(nullptr, kParseError,
                       "the line is longer than " + std::to_string(kMaxMessageBytes) + " bytes"));
}

}  // namespace capsem::guest::mcp_server
