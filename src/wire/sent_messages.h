// One direction of a session that outlives its connection: every message is kept until the other
// side has said that it arrived (Received, SessionResume, Resumed), to be sent again over the next
// connection. capsem.proto says which messages count.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>

#include "base/error.h"

namespace capsem::wire {

class SentMessages {
 public:
  // `frame` is a message as encode() made it, sent after all that were added before.
  void add(std::string frame);

  // The other side has received `count` messages since the session began. kInvalid when that is
  // more than there were, or fewer than it had received before.
  Result<> confirm(std::uint64_t count);

  // Those not confirmed, in their order, one behind the other.
  std::string frames() const;
  std::size_t bytes() const { return bytes_; }

 private:
  std::deque<std::string> frames_;
  std::size_t bytes_ = 0;  // of frames_
  std::uint64_t confirmed_ = 0;
};

}  // namespace capsem::wire
