// Entries of the network log as JSON, for programs: a line each, and as an HTTP archive.
#pragma once

#include <string>
#include <string_view>

#include "audit/reader.h"

namespace capsem::audit {

// One object on one line, without its end. Members that do not apply are not there.
std::string to_json(const Entry& entry);
std::string to_json(const UsageSum& sum);

// HAR 1.2 (http://www.softwareishard.com/blog/har-12-spec/) in pieces, so that none has to be kept:
// the beginning, entries with a comma between them, the end.
std::string har_begin(std::string_view version);
std::string har_entry(const Entry& entry, const Request& request);
inline constexpr std::string_view kHarSeparator = ",\n";
inline constexpr std::string_view kHarEnd = "\n]}}\n";

// "https://example.com:8443/path".
std::string url_of(const Request& request);

}  // namespace capsem::audit
