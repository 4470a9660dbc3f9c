#include "audit/json.h"

#include <array>
#include <ctime>
#include <nlohmann/json.hpp>
#include <utility>
#include <variant>

#include "audit/names.h"
#include "audit/schema.h"
#include "base/json.h"
#include "base/text.h"

namespace capsem::audit {
namespace {

using Json = nlohmann::ordered_json;

std::int64_t in_ms(TimePoint at) {
  return std::chrono::duration_cast<std::chrono::milliseconds>(at.time_since_epoch()).count();
}

double in_ms(microseconds duration) {
  return static_cast<double>(duration.count()) / 1000;
}

// A member that is there unless it says nothing.
void put(Json& json, const char* member, const std::string& text) {
  if (!text.empty()) json[member] = text;
}

void put(Json& json, const Process& process) {
  if (process.pid != 0) json["pid"] = process.pid;
  if (process.pid != 0) json["uid"] = process.uid;
  put(json, "executable", process.executable);
}

void put(Json& json, const Judgement& judgement) {
  json["decision"] = name(judgement.decision);
  put(json, "rule", judgement.rule);
}

Json json_of(const ModelUsage& usage) {
  return {
      {"provider", usage.provider},           {"model", usage.model},
      {"input_tokens", usage.input_tokens},   {"cached_input_tokens", usage.cached_input_tokens},
      {"output_tokens", usage.output_tokens}, {"tools", usage.tools}};
}

void put(Json& json, const NameAsked& asked) {
  json["kind"] = kNameKind;
  json["at_ms"] = in_ms(asked.at);
  json["name"] = asked.name;
  json["type"] = asked.type;
  json["result"] = name(asked.result);
  put(json, asked.judgement);
  put(json, asked.process);
}

void put(Json& json, const Connection& connection) {
  json["kind"] = kConnectionKind;
  json["at_ms"] = in_ms(connection.begin);
  json["duration_ms"] = in_ms(connection.duration);
  json["connection"] = connection.id;
  json["address"] = connection.address;
  json["port"] = connection.port;
  put(json, "server_name", connection.server_name);
  json["sent_bytes"] = connection.sent_bytes;
  json["received_bytes"] = connection.received_bytes;
  json["ending"] = name(connection.ending);
  put(json, "reason", connection.reason);
  put(json, connection.judgement);
  put(json, connection.process);
}

void put(Json& json, const Request& request) {
  json["kind"] = kRequestKind;
  json["at_ms"] = in_ms(request.begin);
  json["duration_ms"] = in_ms(request.duration);
  json["connection"] = request.connection;
  json["scheme"] = request.scheme;
  json["protocol"] = request.protocol;
  json["host"] = request.host;
  json["port"] = request.port;
  json["method"] = request.method;
  json["path"] = request.path;
  json["status"] = request.status;
  json["sent_bytes"] = request.sent_bytes;
  json["received_bytes"] = request.received_bytes;
  put(json, "reason", request.reason);
  put(json, request.judgement);
  put(json, request.process);
  if (request.usage) json["usage"] = json_of(*request.usage);
}

void put(Json& json, const Dropped& dropped) {
  json["kind"] = kDroppedKind;
  json["at_ms"] = in_ms(dropped.at);
  json["records"] = dropped.records;
}

// "2026-11-30T11:47:54.123Z"
std::string iso_time(TimePoint at) {
  auto ms = in_ms(at);
  auto seconds = static_cast<std::time_t>(ms / 1000);
  std::tm utc{};
  ::gmtime_r(&seconds, &utc);
  std::array<char, 32> text{};
  auto size = std::strftime(text.data(), text.size(), "%FT%T", &utc);
  return std::string(text.data(), size) + "." + std::to_string(1000 + ms % 1000).substr(1) + "Z";
}

Json query_of(const std::string& path) {
  auto list = Json::array();
  auto query = path.find('?');
  if (query == std::string::npos) return list;
  for (auto parameter : split(std::string_view(path).substr(query + 1), '&')) {
    auto end = parameter.find('=');
    auto value = end == std::string_view::npos ? std::string_view() : parameter.substr(end + 1);
    list.push_back({{"name", parameter.substr(0, end)}, {"value", value}});
  }
  return list;
}

std::uint16_t default_port(std::string_view scheme) {
  return scheme == "https" ? 443 : 80;
}

}  // namespace

std::string to_json(const Entry& entry) {
  Json json = {{"sequence", entry.sequence}, {"run", entry.run}};
  std::visit([&json](const auto& record) { put(json, record); }, entry.record);
  return json_text(json);
}

std::string to_json(const UsageSum& sum) {
  return json_text(Json{{"host", sum.host},
                        {"provider", sum.provider},
                        {"model", sum.model},
                        {"requests", sum.requests},
                        {"input_tokens", sum.input_tokens},
                        {"cached_input_tokens", sum.cached_input_tokens},
                        {"output_tokens", sum.output_tokens}});
}

std::string url_of(const Request& request) {
  bool is_ipv6 = request.host.contains(':');
  auto url = request.scheme + "://" + (is_ipv6 ? "[" + request.host + "]" : request.host);
  if (request.port != default_port(request.scheme)) url += ":" + std::to_string(request.port);
  return url + request.path;
}

std::string har_begin(std::string_view version) {
  Json creator = {{"name", "capsem"}, {"version", version}};
  return R"({"log":{"version":"1.2","creator":)" + json_text(creator) + ",\"entries\":[\n";
}

// What is not kept, headers and bodies, is given as the specification says for what is not known.
std::string har_entry(const Entry& entry, const Request& request) {
  auto none = Json::array();
  Json json = {
      {"startedDateTime", iso_time(request.begin)},
      {"time", in_ms(request.duration)},
      {"request",
       {{"method", request.method},
        {"url", url_of(request)},
        {"httpVersion", request.protocol},
        {"cookies", none},
        {"headers", none},
        {"queryString", query_of(request.path)},
        {"headersSize", -1},
        {"bodySize", request.sent_bytes}}},
      {"response",
       {{"status", request.status},
        {"statusText", ""},
        {"httpVersion", request.protocol},
        {"cookies", none},
        {"headers", none},
        {"content", {{"size", request.received_bytes}, {"mimeType", ""}}},
        {"redirectURL", ""},
        {"headersSize", -1},
        {"bodySize", request.received_bytes}}},
      {"cache", Json::object()},
      {"timings", {{"send", 0}, {"wait", in_ms(request.duration)}, {"receive", 0}}},
      {"connection", std::to_string(entry.run) + "-" + std::to_string(request.connection)},
      {"comment", request.reason},
  };
  // Members of one's own begin with an underscore.
  json["_decision"] = name(request.judgement.decision);
  json["_rule"] = request.judgement.rule;
  json["_executable"] = request.process.executable;
  json["_pid"] = request.process.pid;
  if (request.usage) json["_usage"] = json_of(*request.usage);
  return json_text(json);
}

}  // namespace capsem::audit
