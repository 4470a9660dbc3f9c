// Finds the placeholders of secrets in what the guest sends, so that none goes where its secret
// does not: who finds one there has found a mistake, or an attempt.
#pragma once

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/http_rules.h"
#include "host/net/policy_secret.h"

namespace capsem::host::net {

class Placeholders {
 public:
  Placeholders() = default;
  explicit Placeholders(std::span<const Secret> secrets);
  bool empty() const { return needles_.empty(); }

  // Of the first that is in the head, as it is, in base64 wherever it lies in it, or
  // percent-encoded: "the placeholder of 'API_KEY' in the header 'X-Key'". The places that `own`
  // sets are not looked at, as what is there does not leave.
  std::optional<std::string> find_in_head(const PlainRequest& request,
                                          std::span<const Secret> own) const;

  // The same for fields.
  std::optional<std::string> find_in_fields(const HttpFields& fields) const;

  // The same for a body, percent-encoding apart, which comes in pieces.
  class BodySearch {
   public:
    explicit BodySearch(std::shared_ptr<const Placeholders> placeholders)
        : placeholders_(std::move(placeholders)) {}
    std::optional<std::string> next(std::string_view piece);

   private:
    std::shared_ptr<const Placeholders> placeholders_;
    std::string end_;  // of the pieces before
  };

 private:
  struct Needle {
    std::string text;
    std::string name;  // of the secret
  };
  const Needle* find(std::string_view text) const;
  const Needle* find_in_any_form(std::string_view text) const;

  std::vector<Needle> needles_;
  // How needles begin: few, which are looked for first.
  std::vector<std::string> stems_;
  std::size_t longest_ = 0;
};

}  // namespace capsem::host::net
