// Secrets in the texts of HTTP: where in a request they stand, and in which form.
#pragma once

#include <string>
#include <string_view>

#include "host/net/http_rules.h"
#include "host/net/policy_secret.h"

namespace capsem::host::net {

// RFC 4648, 4.
std::string base64(std::string_view text);
// RFC 3986, 2.1: all but unreserved characters.
std::string percent_encoded(std::string_view text);
// What is encoded wrongly stays as it is.
std::string percent_decoded(std::string_view text);

// As it stands in the header or the query: with the prefix, or as RFC 7617 has it.
std::string placed_text(const Secret& secret, std::string_view value);
// The part of that which is as secret as `value` itself.
std::string placed_secret(const Secret& secret, std::string_view value);

// Takes out all that the request has where the secret is to be.
void remove_place(PlainRequest& request, const Secret& secret);
// Puts `value` there, in place of it.
void set_place(PlainRequest& request, const Secret& secret, std::string_view value);

}  // namespace capsem::host::net
