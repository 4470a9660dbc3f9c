// What a request that the policy allows gets of the host's secrets, and what it must not have of
// their placeholders.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <functional>
#include <map>
#include <memory>
#include <string>

#include "async/task.h"
#include "host/net/exchange_filter.h"
#include "host/net/http_rules.h"
#include "host/net/placeholders.h"
#include "host/net/policy.h"
#include "host/net/secret_values.h"

namespace capsem::host::net {

class RequestSecrets {
 public:
  explicit RequestSecrets(const boost::asio::any_io_executor& executor) : values_(executor) {}

  // From here on of the rules of `policy`.
  void use(const Policy& policy);

  // The variables of the guest's sessions, and the placeholders in them.
  std::map<std::string, std::string> variables() const { return variables_; }

  struct Prepared {
    std::unique_ptr<ExchangeFilter> filter;  // may be null
    std::string fault;        // why the request cannot go on, for who asked for it on the host
    std::string explanation;  // the same for the guest, when that is not to see all of it
    unsigned status = 403;
  };
  // For a request that `rule` allows, null for none. `refused` is told when a placeholder is found
  // in its body later on.
  Task<Prepared> prepare(const PlainRequest& request, const Rule* rule, bool secure,
                         std::function<void(const std::string&)> refused);

 private:
  SecretValues values_;
  std::shared_ptr<const Placeholders> placeholders_ = std::make_shared<Placeholders>();
  std::map<std::string, std::string> variables_;
};

}  // namespace capsem::host::net
