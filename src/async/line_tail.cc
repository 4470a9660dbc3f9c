#include "async/line_tail.h"

#include <algorithm>

#include "base/text.h"

namespace capsem::async {
namespace {

// A serial console ends lines with \r\n.
std::string_view without_carriage_return(std::string_view line) {
  while (line.ends_with('\r')) line.remove_suffix(1);
  return line;
}

}  // namespace

void LineTail::feed(std::string_view bytes) {
  while (!bytes.empty()) {
    auto room = kMaxLineBytes - partial_.size();
    auto piece = bytes.substr(0, std::min(bytes.find('\n'), room));
    partial_ += piece;
    bytes.remove_prefix(piece.size());
    bool ended = bytes.starts_with('\n');
    if (ended) bytes.remove_prefix(1);
    if (ended || partial_.size() == kMaxLineBytes) finish_line();
  }
}

void LineTail::finish_line() {
  auto line = printable(without_carriage_return(partial_));
  partial_.clear();
  if (line.empty()) return;
  lines_.push_back(std::move(line));
  if (lines_.size() > kMaxLines) lines_.pop_front();
  if (handler_) handler_(lines_.back());
}

std::vector<std::string> LineTail::last(std::size_t count) const {
  std::vector<std::string> result(lines_.begin(), lines_.end());
  auto partial = printable(without_carriage_return(partial_));
  if (!partial.empty()) result.push_back(std::move(partial));
  if (result.size() > count)
    result.erase(result.begin(), result.end() - static_cast<std::ptrdiff_t>(count));
  return result;
}

}  // namespace capsem::async
