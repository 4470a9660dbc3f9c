// The network log for people: a line for each entry.
#pragma once

#include <string>
#include <vector>

#include "audit/reader.h"

namespace capsem::cli {

// The heads of the columns.
std::string net_heads();

// "2026-11-30 11:47:54.123  inspected  200  ...  POST https://example.com/", in local time and safe
// to print.
std::string in_words(const audit::Entry& entry);

std::string usage_table(const std::vector<audit::UsageSum>& sums);

}  // namespace capsem::cli
