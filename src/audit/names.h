// The words for decisions, results and endings, in the file and in what is printed.
#pragma once

#include <optional>
#include <string_view>

#include "audit/records.h"

namespace capsem::audit {

std::string_view name(Decision decision);
std::string_view name(NameResult result);
std::string_view name(Ending ending);

// The one that the word stands for; nothing for another word.
template <class Kind>
std::optional<Kind> parse_name(std::string_view word);

}  // namespace capsem::audit
