// What a guest can make long, unreadable or a secret, bounded before it is kept.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "audit/records.h"

namespace capsem::audit {

// Cuts each text of the record to its limit, and says what memory the record takes.
std::size_t cut(Record& record);

// Makes each text safe to print, and takes the values of what is a credential out of the query. The
// limits hold again, as what is not printed becomes longer. Returns what cut() does.
std::size_t clean(Record& record);

// "/v1?key=...&alt=sse" for "/v1?key=AIza&alt=sse": parameters whose names say that they hold a
// key, a token, a signature or a password lose their values.
std::string without_credentials(std::string_view path);

}  // namespace capsem::audit
