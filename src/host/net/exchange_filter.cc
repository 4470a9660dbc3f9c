#include "host/net/exchange_filter.h"

#include <array>
#include <utility>

#include "audit/model_api.h"
#include "host/net/secret_text.h"

namespace capsem::host::net {
namespace {

// What would have the answer come in a form, or in parts, in which a secret is not seen.
// Accept-Encoding is another such, which models are not to have either.
constexpr std::array<std::string_view, 3> kOfForm = {"Range", "If-Range",
                                                     "Sec-WebSocket-Extensions"};

}  // namespace

std::unique_ptr<ExchangeFilter> ExchangeFilter::create(Options options) {
  const bool is_of_model = audit::find_model_api(options.host, options.path).has_value();
  if (options.secrets.empty() && options.placeholders->empty() && !is_of_model) return nullptr;
  return std::unique_ptr<ExchangeFilter>(new ExchangeFilter(std::move(options), is_of_model));
}

ExchangeFilter::ExchangeFilter(Options options, bool is_of_model)
    : options_(std::move(options)), is_of_model_(is_of_model), search_(options_.placeholders) {
  for (std::size_t i = 0; i < options_.secrets.size(); ++i) {
    const auto& secret = options_.secrets[i];
    const auto& value = options_.values.at(i);
    const auto placed = placed_secret(secret, value);
    if (placed != value) eraser_.add(placed, secret.placeholder());
    eraser_.add(value, secret.placeholder());
  }
}

void ExchangeFilter::request(PlainRequest& request) const {
  for (std::size_t i = 0; i < options_.secrets.size(); ++i)
    set_place(request, options_.secrets[i], options_.values.at(i));
  auto& fields = request.head.fields;
  if (!eraser_.empty())
    for (auto name : kOfForm) fields.remove(name);
  if (eraser_.empty() && !is_of_model_) return;
  fields.remove("Accept-Encoding");
  fields.add("Accept-Encoding", "identity");
}

// A host that gets a secret may have placeholders: an agent shows its environment to its model.
std::optional<std::string> ExchangeFilter::request_body(std::string_view piece) {
  auto reason = options_.secrets.empty() ? search_.next(piece) : std::nullopt;
  if (reason) options_.refused(*reason);
  return reason;
}

std::optional<std::string> ExchangeFilter::request_trailers(const HttpFields& trailers) {
  auto reason = options_.placeholders->find_in_fields(trailers);
  if (reason) options_.refused(*reason);
  return reason;
}

void ExchangeFilter::answer(AnswerHead& head) {
  erase(head.fields);
  if (!eraser_.empty()) head.reason = eraser_.erased(head.reason);
  if (!is_of_model_) return;
  const auto text = [&](std::string_view name) { return head.fields.find(name).value_or(""); };
  usage_ = audit::ModelUsageReader::create({.host = options_.host,
                                            .path = options_.path,
                                            .content_type = text("Content-Type"),
                                            .content_encoding = text("Content-Encoding")});
}

std::string_view ExchangeFilter::answer_body(std::string_view piece) {
  if (usage_) usage_->feed(piece);
  return eraser_.next(piece);
}

std::optional<audit::ModelUsage> ExchangeFilter::usage() const {
  return usage_ ? usage_->usage() : std::nullopt;
}

void ExchangeFilter::erase(HttpFields& fields) const {
  if (eraser_.empty()) return;
  HttpFields erased;
  for (const auto& field : fields.all()) erased.add(field.name, eraser_.erased(field.value));
  fields = std::move(erased);
}

}  // namespace capsem::host::net
