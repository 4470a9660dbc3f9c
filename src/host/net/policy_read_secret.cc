#include "host/net/policy_read_secret.h"

#include <algorithm>
#include <array>

namespace capsem::host::net {
namespace {

constexpr std::size_t kMostSecrets = 16;  // of one rule
constexpr std::size_t kLongestText = 4096;
constexpr std::size_t kMostWords = 64;
constexpr std::size_t kLongestPrefix = 64;

constexpr std::array<std::string_view, 9> kKeys = {
    "name", "header", "query", "prefix", "user", "env", "file", "command", "cache_seconds"};
constexpr std::array<std::string_view, 3> kSources = {"env", "file", "command"};
constexpr const char* kPlaceAdvice = "write header = \"x-api-key\", or query = \"key\"";
constexpr const char* kSourceAdvice =
    "write env = \"API_KEY\", file = \"/path\" or command = [\"pass\", \"show\", \"key\"]";

bool is_printable_ascii(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return c >= ' ' && c <= '~'; });
}

bool is_command(const std::vector<std::string>& words) {
  return !words.empty() && words.size() <= kMostWords && !words.front().empty() &&
         std::ranges::all_of(words, [](const auto& word) {
           return word.size() <= kLongestText && !has_control_character(word);
         });
}

// A text of the key, for which `fault` says what is wrong with it.
std::string checked(PolicyTable& in, std::string_view key, std::string_view example,
                    const char* (*fault)(std::string_view)) {
  auto text = in.text(key, example).value_or("");
  if (const char* reason = fault(text); in.has(key) && reason != nullptr)
    in.refuse_key(key, "'" + std::string(key) + "' " + reason,
                  "write " + std::string(key) + " = " + std::string(example));
  return text;
}

void read_place(PolicyTable& in, Secret& secret) {
  if (in.has("header") == in.has("query"))
    return in.refuse_key("query", "a secret has either 'header' or 'query'", kPlaceAdvice);
  if (in.has("query")) {
    secret.place = Secret::Place::kQuery;
    secret.field = checked(in, "query", "\"key\"", fault_of_secret_query);
    for (const char* key : {"prefix", "user"})
      if (in.has(key)) in.refuse_key(key, "only a header has '" + std::string(key) + "'", "");
    return;
  }
  secret.field = checked(in, "header", "\"x-api-key\"", fault_of_secret_header);
  secret.prefix = in.text("prefix", "\"Bearer \"").value_or("");
  secret.user = in.text("user", "\"git\"").value_or("");
  if (secret.prefix.size() > kLongestPrefix || !is_printable_ascii(secret.prefix))
    in.refuse_key("prefix", "'prefix' is too long or has other characters than ASCII's", "");
  if (secret.user.size() > kLongestText || !is_printable_ascii(secret.user) ||
      secret.user.find(':') != std::string::npos || (in.has("user") && secret.user.empty()))
    in.refuse_key("user", "'user' is empty, too long or has a ':'", "write user = \"git\"");
  if (in.has("user") && in.has("prefix"))
    in.refuse_key("prefix", "with 'user' the prefix is \"Basic \"", "remove 'prefix'");
}

void read_cache(PolicyTable& in, SecretSource& source) {
  auto seconds = in.number("cache_seconds", "300");
  if (!seconds) return;
  if (!in.has("command"))
    return in.refuse_key("cache_seconds", "only a command has 'cache_seconds'", "remove it");
  if (*seconds < 0 || *seconds > SecretSource::kLongestCache.count())
    return in.refuse_key("cache_seconds", "'cache_seconds' is not from 0 to 86400",
                         "write cache_seconds = 300");
  source.cache = std::chrono::seconds(*seconds);
}

void read_source(PolicyTable& in, SecretSource& source) {
  if (std::ranges::count_if(kSources, [&](auto key) { return in.has(key); }) != 1)
    return in.refuse_key("command", "a secret has one of 'env', 'file' and 'command'",
                         kSourceAdvice);
  read_cache(in, source);
  if (in.has("command")) {
    source.kind = SecretSource::Kind::kCommand;
    source.words = in.list("command", "[\"pass\", \"show\", \"key\"]");
    if (!is_command(source.words))
      in.refuse_key("command", "'command' is empty, too long or has a control character",
                    kSourceAdvice);
    return;
  }
  if (in.has("env")) {
    source.words = {checked(in, "env", "\"API_KEY\"", fault_of_secret_name)};
    return;
  }
  source.kind = SecretSource::Kind::kFile;
  source.words = {in.text("file", "\"/home/me/key\"").value_or("")};
  const auto& path = source.words.front();
  if (!path.starts_with('/') || path.size() >= kLongestText || has_control_character(path))
    in.refuse_key("file", "'file' is not an absolute path without control characters",
                  kSourceAdvice);
}

Secret secret_of(PolicyTable& in) {
  Secret secret;
  in.allow_keys(kKeys, "a secret");
  if (!in.has("name"))
    in.refuse_key("name", "the secret has no 'name'",
                  "write name = \"API_KEY\", the variable that holds a placeholder in the guest");
  secret.name = checked(in, "name", "\"API_KEY\"", fault_of_secret_name);
  read_place(in, secret);
  read_source(in, secret.source);
  return secret;
}

bool clash(const Secret& a, const Secret& b) {
  return a.name == b.name || (a.place == b.place && a.field == b.field);
}

}  // namespace

std::vector<Secret> secrets_of(PolicyTable& rule) {
  std::vector<Secret> secrets;
  auto tables =
      rule.tables("secret", "{ name = \"API_KEY\", header = \"x-api-key\", env = \"API_KEY\" }");
  if (tables.size() > kMostSecrets)
    rule.refuse_key("secret", "a rule has more than " + std::to_string(kMostSecrets) + " secrets",
                    "");
  for (auto& table : tables) {
    auto secret = secret_of(table);
    if (std::ranges::any_of(secrets, [&](const auto& other) { return clash(secret, other); }))
      table.refuse_key("name", "another secret of the rule has this name or this place", "");
    secrets.push_back(std::move(secret));
    rule.refuse_as(table);
    if (rule.error()) break;
  }
  return secrets;
}

}  // namespace capsem::host::net
