#include "host/net/request_secrets.h"

#include <utility>
#include <vector>

namespace capsem::host::net {
namespace {

RequestSecrets::Prepared refuse(std::string fault) {
  return {.filter = nullptr, .fault = std::move(fault), .explanation = {}};
}

}  // namespace

void RequestSecrets::use(const Policy& policy) {
  std::vector<Secret> secrets;
  for (const auto& rule : policy.rules())
    secrets.insert(secrets.end(), rule.secrets.begin(), rule.secrets.end());
  variables_.clear();
  for (const auto& secret : secrets) variables_.try_emplace(secret.name, secret.placeholder());
  placeholders_ = std::make_shared<Placeholders>(secrets);
  values_.forget();
}

Task<RequestSecrets::Prepared> RequestSecrets::prepare(
    const PlainRequest& request, const Rule* rule, bool secure,
    std::function<void(const std::string&)> refused) {
  // A copy: the policy may change while a secret is being read.
  const auto secrets = rule == nullptr ? std::vector<Secret>() : rule->secrets;
  const auto placeholders = placeholders_;
  if (auto found = placeholders->find_in_head(request, secrets))
    co_return refuse(*found + ", which is not where a rule puts the secret");
  if (!secrets.empty() && !secure)
    co_return refuse("the secret '" + secrets.front().name + "' is sent over TLS only");
  ExchangeFilter::Options options{.host = request.authority.host,
                                  .path = request.target.sent,
                                  .secrets = secrets,
                                  .values = {},
                                  .placeholders = placeholders,
                                  .refused = std::move(refused)};
  for (const auto& secret : secrets) {
    auto value = co_await values_.read(secret.source);
    if (!value) {
      auto refusal = refuse(value.error().message());
      refusal.explanation =
          "the host has no secret '" + secret.name + "'; 'capsem policy explain' tells there why";
      refusal.status = 502;
      co_return refusal;
    }
    options.values.push_back(std::move(*value));
  }
  if (placeholders != placeholders_) {
    auto refusal = refuse("the rules have changed while its secret was read");
    refusal.status = 503;
    co_return refusal;
  }
  co_return Prepared{
      .filter = ExchangeFilter::create(std::move(options)), .fault = {}, .explanation = {}};
}

}  // namespace capsem::host::net
