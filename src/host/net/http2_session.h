// One side of an HTTP/2 connection as a machine without input and output of its own, on nghttp2:
// what was received is fed to it, and what it wants sent is taken from it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"
#include "host/net/http2_heads.h"
#include "host/net/http2_limits.h"
#include "host/net/http2_outgoing.h"

struct nghttp2_session;

namespace capsem::host::net {

// RFC 9113, 7, those that are used by name.
enum class Http2Error : std::uint32_t {
  kNone = 0,              // NO_ERROR
  kProtocol = 1,          // PROTOCOL_ERROR
  kInternal = 2,          // INTERNAL_ERROR
  kRefusedStream = 7,     // REFUSED_STREAM: nothing was done, it may be sent again
  kCancel = 8,            // CANCEL
  kEnhanceYourCalm = 11,  // ENHANCE_YOUR_CALM
  kHttp11Required = 13,   // HTTP_1_1_REQUIRED
};
std::string text_of(Http2Error error);

// Hears what the peer does. May call back into any session, but not receive() or fill().
class Http2Handler {
 public:
  virtual ~Http2Handler() = default;
  // A request, an interim or last answer, or trailers; `ends` when nothing follows on the stream.
  virtual void head(std::int32_t stream, Http2Block block, bool ends) = 0;
  virtual void data(std::int32_t stream, std::string_view piece) = 0;
  virtual void end(std::int32_t stream) = 0;  // behind data
  // Neither side sends on the stream any more.
  virtual void closed(std::int32_t stream, Http2Error error) = 0;
  // So much of a body has been taken for the peer.
  virtual void taken(std::int32_t stream, std::size_t size) = 0;
  // All that was to be sent on the stream is sent.
  virtual void sent_all(std::int32_t stream) = 0;
  virtual void settings() = 0;
  virtual void goaway() = 0;
};

class Http2Session {
 public:
  enum class Role { kServer, kClient };
  static Result<std::unique_ptr<Http2Session>> make(Role role, const Http2Limits& limits,
                                                    Http2Handler& handler);
  Http2Session(const Http2Session&) = delete;
  Http2Session& operator=(const Http2Session&) = delete;
  ~Http2Session();

  // kInvalid when the peer breaks the rules in a way that ends the connection, kNoSpace when it
  // does what only costs.
  Result<> receive(std::span<const std::byte> bytes);
  // Adds what is to be sent now, some kFillBytes at most.
  Result<> fill(std::vector<std::byte>& to);
  static constexpr std::size_t kFillBytes = 64 << 10;

  // Fields with the pseudo-header fields first. `body` is kept until the stream is closed; null
  // when the head is all. The stream's number, or nothing when no stream can be opened.
  using Body = std::shared_ptr<Http2Outgoing>;
  std::optional<std::int32_t> send_request(const Http2Fields& fields, Body body);
  bool send_answer(std::int32_t stream, const Http2Fields& fields, Body body);
  bool send_interim(std::int32_t stream, const Http2Fields& fields);
  // More of a body is there, or its end.
  void resume(std::int32_t stream);
  void reset(std::int32_t stream, Http2Error error);
  // The peer may send so much more; the stream may be closed.
  void give_back(std::int32_t stream, std::size_t size);

  // The peer may have so much on its way on the stream; never less than before.
  void widen(std::int32_t stream, std::int32_t window);

  // RFC 8441: a WebSocket may be opened on a stream.
  void allow_websockets();
  bool peer_allows_websockets() const;

  // GOAWAY: no more streams of the peer, and those that there are go on; or all end.
  void refuse_more();
  void terminate(Http2Error error);

  bool ended() const;  // nothing is to be read or sent any more
  // More waits for the peer than may (Http2Limits::queued_frames and queued_head_bytes).
  bool overfull() const;
  // Frames of data sent since the last call.
  std::size_t take_sent_data() { return std::exchange(sent_data_, 0); }

 private:
  friend struct Http2Callbacks;
  Http2Session(const Http2Limits& limits, Http2Handler& handler)
      : limits_(limits), handler_(handler) {}
  Result<> begin(Role role);

  Http2Limits limits_;
  Http2Handler& handler_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, Body> bodies_;  // that nghttp2 has pointers to
  std::vector<std::byte>* filled_ = nullptr;
  // The head that is being read; there is one at a time.
  Http2Block block_;
  bool hopeless_ = false;  // it was so large that it was not read to its end
  std::size_t queued_head_bytes_ = 0;
  std::size_t sent_data_ = 0;
  std::string fault_;  // that nghttp2 last found with the peer's frames
};

}  // namespace capsem::host::net
