#include "audit/clean.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <utility>
#include <variant>

#include "base/text.h"

namespace capsem::audit {
namespace {

// Limits in bytes. A name has 255 (RFC 1035), 4 for each where it is written with \DDD or the like.
constexpr std::size_t kMaxName = 1024;
constexpr std::size_t kMaxPath = 2048;
constexpr std::size_t kMaxFile = 1024;
constexpr std::size_t kMaxWords = 256;  // a rule's name, a reason
constexpr std::size_t kMaxWord = 64;    // a method, a type, a tool
constexpr std::size_t kMaxTools = 64;
constexpr std::string_view kCut = "...";

// As they stand in names of query parameters, in lower case, at the name's end.
constexpr std::array<std::string_view, 12> kCredentials = {
    "key", "apikey", "token",     "secret", "password",   "passwd",
    "pwd", "sig",    "signature", "auth",   "credential", "code",
};

// Calls `act(text, limit)` for each text of a record.
template <class Act>
void for_each_text(Process& process, Judgement& judgement, Act act) {
  act(process.executable, kMaxFile);
  act(judgement.rule, kMaxWords);
}

template <class Act>
void for_each_text(NameAsked& asked, Act act) {
  act(asked.name, kMaxName);
  act(asked.type, kMaxWord);
  for_each_text(asked.process, asked.judgement, act);
}

template <class Act>
void for_each_text(Connection& connection, Act act) {
  act(connection.address, kMaxWord);
  act(connection.server_name, kMaxName);
  act(connection.reason, kMaxWords);
  for_each_text(connection.process, connection.judgement, act);
}

template <class Act>
void for_each_text(Request& request, Act act) {
  for (auto* word : {&request.scheme, &request.protocol, &request.method}) act(*word, kMaxWord);
  act(request.host, kMaxName);
  act(request.path, kMaxPath);
  act(request.reason, kMaxWords);
  for_each_text(request.process, request.judgement, act);
  if (!request.usage) return;
  act(request.usage->provider, kMaxWord);
  act(request.usage->model, kMaxWords);
  for (auto& tool : request.usage->tools) act(tool, kMaxWord);
}

template <class Act>
void for_each_text(Dropped& /*dropped*/, Act /*act*/) {}

bool is_credential(std::string_view parameter) {
  std::string lower;
  for (char c : parameter) lower += static_cast<char>(std::tolower(static_cast<unsigned char>(c)));
  return std::ranges::any_of(kCredentials,
                             [&](std::string_view word) { return lower.ends_with(word); });
}

}  // namespace

std::size_t cut(Record& record) {
  auto bytes = sizeof(Record);
  auto* request = std::get_if<Request>(&record);
  if (request != nullptr && request->usage && request->usage->tools.size() > kMaxTools)
    request->usage->tools.resize(kMaxTools);
  if (request != nullptr && request->usage)
    bytes += request->usage->tools.size() * sizeof(std::string);
  std::visit(
      [&bytes](auto& each) {
        for_each_text(each, [&bytes](std::string& text, std::size_t limit) {
          // A new one: the old one would keep its memory.
          if (text.size() > limit) text = text.substr(0, limit) + std::string(kCut);
          bytes += text.size();
        });
      },
      record);
  return bytes;
}

std::size_t clean(Record& record) {
  if (auto* request = std::get_if<Request>(&record))
    request->path = without_credentials(request->path);
  std::visit(
      [](auto& each) {
        for_each_text(each, [](std::string& text, std::size_t) { text = printable(text); });
      },
      record);
  return cut(record);
}

std::string without_credentials(std::string_view path) {
  auto query = path.find('?');
  if (query == std::string_view::npos) return std::string(path);
  std::string kept(path.substr(0, query));
  char before = '?';
  for (auto parameter : split(path.substr(query + 1), '&')) {
    kept += std::exchange(before, '&');
    auto name = parameter.substr(0, parameter.find('='));
    bool hidden = name.size() < parameter.size() && is_credential(name);
    kept += hidden ? std::string(name) + "=..." : std::string(parameter);
  }
  return kept;
}

}  // namespace capsem::audit
