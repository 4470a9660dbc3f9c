#include "host/net/http2_side.h"

#include <algorithm>
#include <utility>

namespace capsem::host::net {
namespace {

// A connection that waits keeps the smallest buffer. It grows by steps, so that one that waits
// behind a few large frames does not keep the largest.
constexpr std::size_t kWaitingBytes = 512;
constexpr std::size_t kFlowingBytes = 64 << 10;
constexpr std::size_t kStep = 8;

}  // namespace

Result<std::unique_ptr<Http2Side>> Http2Side::make(async::Stream& stream, Http2Session::Role role,
                                                   const Http2Limits& limits,
                                                   Http2Handler& handler) {
  std::unique_ptr<Http2Side> made(new Http2Side(stream, role, limits));
  auto session = Http2Session::make(role, limits, handler);
  if (!session) return propagate(session);
  made->session_ = std::move(*session);
  return made;
}

Task<Result<>> Http2Side::read(std::function<Result<>()> check) {
  std::vector<std::byte> buffer(kWaitingBytes);
  for (;;) {
    auto size = co_await stream_.read_some(buffer);
    if (!size) co_return propagate(size);
    if (*size == 0) co_return Result<>();
    auto taken = take(std::span(buffer).first(*size));
    if (taken) taken = check();
    if (!taken) co_return taken;
    auto wanted = buffer.size();
    if (*size == buffer.size()) wanted = std::min(buffer.size() * kStep, kFlowingBytes);
    if (*size < buffer.size() / kStep) wanted = kWaitingBytes;
    if (wanted != buffer.size()) std::vector<std::byte>(wanted).swap(buffer);
  }
}

Result<> Http2Side::take(std::span<const std::byte> bytes) {
  frames_.sent_data(session_->take_sent_data());
  const bool calm = frames_.feed(bytes, Clock::now());
  auto received = session_->receive(bytes);
  note_head();
  wake();
  if (received && !calm)
    return fail("read from", "an HTTP/2 connection", "it has too many frames that do nothing", "",
                ErrorKind::kNoSpace);
  return received;
}

void Http2Side::note_head() {
  const bool another = std::exchange(completed_, frames_.completed()) != frames_.completed();
  if (!frames_.in_head())
    in_head_since_.reset();
  else if (!in_head_since_ || another)
    in_head_since_ = Clock::now();
}

Task<Result<>> Http2Side::write() {
  std::vector<std::byte> output;
  for (;;) {
    auto filled = session_->fill(output);
    if (!filled) co_return filled;
    if (output.empty()) {
      if (session_->ended()) co_return Result<>();
      std::vector<std::byte>().swap(output);
      co_await wake_.wait();
      continue;
    }
    writing_since_ = Clock::now();
    auto written = co_await stream_.write_all(output);
    writing_since_.reset();
    if (!written) co_return written;
    output.clear();
  }
}

}  // namespace capsem::host::net
