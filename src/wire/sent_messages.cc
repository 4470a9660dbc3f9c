#include "wire/sent_messages.h"

#include <utility>

namespace capsem::wire {

void SentMessages::add(std::string frame) {
  bytes_ += frame.size();
  frames_.push_back(std::move(frame));
}

Result<> SentMessages::confirm(std::uint64_t count) {
  if (count < confirmed_ || count - confirmed_ > frames_.size())
    return fail("follow", "the session",
                "the other side says that " + std::to_string(count) + " messages arrived, of " +
                    std::to_string(confirmed_ + frames_.size()),
                "", ErrorKind::kInvalid);
  for (; confirmed_ < count; ++confirmed_) {
    bytes_ -= frames_.front().size();
    frames_.pop_front();
  }
  return {};
}

std::string SentMessages::frames() const {
  std::string all;
  all.reserve(bytes_);
  for (const auto& frame : frames_) all += frame;
  return all;
}

}  // namespace capsem::wire
