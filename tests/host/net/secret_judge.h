// A judge that has a secret for each request, but for those to /other.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "host/net/http1_proxy.h"

namespace capsem::host::net::testing {

inline const std::string kValue = "the-true-secret";
inline const std::string kSeen = "capsem-secret-K";  // of the same length

// Each request gets the secret; the placeholder of another one must not be in a body.
inline Judge with_secret(std::string& refused) {
  return [&refused](const PlainRequest& request) -> Task<Judgement> {
    Secret secret{.name = "K", .field = "X-Key", .prefix = {}, .user = {}, .source = {}};
    auto other = secret;
    other.name = "OTHER";
    ExchangeFilter::Options options{
        .host = request.authority.host,
        .path = request.target.sent,
        .secrets = {},
        .values = {},
        .placeholders = std::make_shared<Placeholders>(std::vector{secret, other}),
        .refused = [&refused](const std::string& reason) { refused = reason; }};
    if (request.target.judged != "/other") {
      options.secrets.push_back(secret);
      options.values.push_back(kValue);
    }
    co_return Judgement{.decision = {Verdict::kPass, "yes-rule"},
                        .filter = ExchangeFilter::create(std::move(options))};
  };
}

}  // namespace capsem::host::net::testing
