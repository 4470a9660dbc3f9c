// Secrets of the host that a rule puts into the requests it allows, and what the guest sees in
// their place. docs/network.md describes them for people.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace capsem::host::net {

struct SecretSource {
  enum class Kind {
    kEnvironment,  // a variable of the monitor, which has those of the command that started it
    kFile,
    kCommand,
  };
  static constexpr std::chrono::seconds kDefaultCache{300};
  static constexpr std::chrono::seconds kLongestCache{86'400};

  Kind kind = Kind::kEnvironment;
  std::vector<std::string> words;              // the name, the absolute path, or the arguments
  std::chrono::seconds cache = kDefaultCache;  // how long a command's output is used again
  auto operator<=>(const SecretSource&) const = default;

  std::string text() const;  // "the command 'pass show key'"
};

// How placeholders begin. Of unreserved characters (RFC 3986), so that no URL changes it.
inline constexpr std::string_view kPlaceholderStem = "capsem-secret-";

struct Secret {
  enum class Place {
    kHeader,  // set, in place of all fields of that name
    kQuery,   // set, in place of all parameters of that name
  };

  std::string name;  // of the variable in the guest that holds the placeholder
  Place place = Place::kHeader;
  std::string field;   // the header's or the parameter's name
  std::string prefix;  // before the secret in a header: "Bearer "
  std::string user;  // with it a header is "Basic", as RFC 7617 has it, with the secret as password
  SecretSource source;
  bool operator==(const Secret&) const = default;

  // What the guest has in its place.
  std::string placeholder() const;
};

// In one line, without its value: "API_KEY in the header 'x-api-key', from the file
// '/home/me/key'".
std::string text_of(const Secret& secret);

// What is allowed in the texts of a secret: the reason why not, or null.
const char* fault_of_secret_name(std::string_view name);
const char* fault_of_secret_header(std::string_view name);
const char* fault_of_secret_query(std::string_view name);

}  // namespace capsem::host::net
