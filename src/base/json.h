// JSON text of values that hold what a file system, a guest or another program gave. Such text need
// not be UTF-8, and nlohmann's own dump() throws at that.
#pragma once

#include <nlohmann/json_fwd.hpp>
#include <string>
#include <string_view>

namespace capsem {

// `value` as JSON in UTF-8 on one line, or, with `indent` >= 0, one member a line, each level
// `indent` spaces further in. A byte sequence that is not UTF-8, a surrogate included, becomes
// U+FFFD. Never fails.
std::string json_text(const nlohmann::json& value, int indent = -1);
std::string json_text(const nlohmann::ordered_json& value, int indent = -1);

// `text` as a JSON string, with its quotes, by the same rule.
std::string json_string(std::string_view text);

}  // namespace capsem
