#include "host/net/secret_eraser.h"

#include <algorithm>
#include <utility>

namespace capsem::host::net {

void SecretEraser::add(std::string secret, std::string_view placeholder) {
  std::string substitute(placeholder.substr(0, secret.size()));
  substitute.resize(secret.size(), '*');
  // The longest first, of which a shorter one may be a part.
  auto place = std::ranges::find_if(
      rows_, [&](const Row& row) { return row.secret.size() < secret.size(); });
  rows_.insert(place, {std::move(secret), std::move(substitute)});
}

void SecretEraser::erase(std::string& text) const {
  for (const auto& row : rows_)
    for (auto at = text.find(row.secret); at != std::string::npos;
         at = text.find(row.secret, at + row.secret.size()))
      text.replace(at, row.secret.size(), row.substitute);
}

// How many bytes at the end of `text` a secret may begin with.
std::size_t SecretEraser::begun_at_end(std::string_view text) const {
  std::size_t most = 0;
  for (const auto& [secret, substitute] : rows_) {
    auto size = std::min(secret.size() - 1, text.size());
    while (size > most && !text.ends_with(std::string_view(secret).substr(0, size))) --size;
    most = std::max(most, size);
  }
  return most;
}

std::string_view SecretEraser::next(std::string_view piece) {
  if (rows_.empty()) return piece;
  const auto passed = before_.size();
  out_ = std::exchange(before_, {}) + std::exchange(held_, {});
  out_ += piece;
  erase(out_);
  const auto begun = begun_at_end(out_);
  before_ = out_.substr(out_.size() - begun);
  if (begun >= kHeldBytes) {
    // Of these some may have been passed on before.
    const auto held = std::min(begun, out_.size() - passed);
    held_ = before_.substr(begun - held);
    before_.resize(begun - held);
    out_.resize(out_.size() - held);
  }
  return std::string_view(out_).substr(passed);
}

std::string_view SecretEraser::end() {
  before_.clear();
  out_ = std::exchange(held_, {});
  return out_;
}

std::string SecretEraser::erased(std::string_view text) const {
  std::string out(text);
  erase(out);
  return out;
}

}  // namespace capsem::host::net
