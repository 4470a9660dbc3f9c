// What happens to a request that was allowed, and to its answer, on their way: the request gets the
// secrets of its rule, and the answer loses them again; what a model's answer costs is read.
#pragma once

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "audit/model_usage.h"
#include "host/net/http_head.h"
#include "host/net/http_rules.h"
#include "host/net/placeholders.h"
#include "host/net/policy_secret.h"
#include "host/net/secret_eraser.h"

namespace capsem::host::net {

// One for each request. Bodies keep their length, so that nothing has to be framed anew.
class ExchangeFilter {
 public:
  struct Options {
    std::string host;                                        // in the form of normal_host()
    std::string path;                                        // as the guest sent it
    std::vector<Secret> secrets;                             // of the rule that allowed it
    std::vector<std::string> values;                         // of each
    std::shared_ptr<const Placeholders> placeholders;        // that must not be in its body
    std::function<void(const std::string& reason)> refused;  // when one is
  };
  // Null when there is nothing to do for such a request.
  static std::unique_ptr<ExchangeFilter> create(Options options);

  // Changes the request just before it is sent.
  void request(PlainRequest& request) const;
  // The next piece of its body, and what is behind it: the reason why it must not go on, or
  // nothing.
  std::optional<std::string> request_body(std::string_view piece);
  std::optional<std::string> request_trailers(const HttpFields& trailers);

  // Changes the head of an answer, one before the last (1xx) too.
  void answer(AnswerHead& head);
  // What goes on in place of the next piece of the last answer's body; valid until the next call.
  // It may end before the piece does, and the rest come with a later one.
  std::string_view answer_body(std::string_view piece);
  std::string_view answer_end() { return eraser_.end(); }
  void answer_trailers(HttpFields& trailers) const { erase(trailers); }

  std::optional<audit::ModelUsage> usage() const;

 private:
  ExchangeFilter(Options options, bool is_of_model);
  void erase(HttpFields& fields) const;

  Options options_;
  bool is_of_model_;
  Placeholders::BodySearch search_;
  SecretEraser eraser_;
  std::optional<audit::ModelUsageReader> usage_;
};

}  // namespace capsem::host::net
