#include "host/net/http2_session.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <array>
#include <utility>

#include "host/net/http2_memory.h"

namespace capsem::host::net {
namespace {

// Answers to SETTINGS and PING that the peer does not read.
constexpr std::size_t kMostAcknowledgements = 500;
constexpr const char* kSubject = "an HTTP/2 connection";

std::string_view text_of(const std::uint8_t* data, std::size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

std::unexpected<Error> fail_nghttp2(const char* attempted, int code, const std::string& fault) {
  return fail(attempted, kSubject, fault.empty() ? nghttp2_strerror(code) : fault, "",
              ErrorKind::kInvalid);
}

std::vector<nghttp2_nv> name_values(const Http2Fields& fields) {
  std::vector<nghttp2_nv> result;
  result.reserve(fields.all.size());
  for (const auto& [name, value] : fields.all) {
    const bool unindexed =
        std::ranges::find(fields.never_indexed, name) != fields.never_indexed.end();
    // nghttp2 copies what it is given here.
    auto bytes = [](const std::string& text) {
      return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    result.push_back(
        {bytes(name), bytes(value), name.size(), value.size(),
         static_cast<std::uint8_t>(unindexed ? NGHTTP2_NV_FLAG_NO_INDEX : NGHTTP2_NV_FLAG_NONE)});
  }
  return result;
}

std::size_t head_bytes(const nghttp2_nv* fields, std::size_t count) {
  std::size_t size = 0;
  for (const auto& field : std::span(fields, count)) size += field.namelen + field.valuelen;
  return size;
}

bool ends_stream(const nghttp2_frame* frame) {
  return (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
}

struct CallbacksFree {
  void operator()(nghttp2_session_callbacks* callbacks) const {
    nghttp2_session_callbacks_del(callbacks);
  }
};
struct OptionFree {
  void operator()(nghttp2_option* option) const { nghttp2_option_del(option); }
};

}  // namespace

std::string text_of(Http2Error error) {
  return nghttp2_http2_strerror(static_cast<std::uint32_t>(error));
}

// What nghttp2 calls, each with the session as its last argument.
struct Http2Callbacks {
  static Http2Session& self(void* user) { return *static_cast<Http2Session*>(user); }

  static int begin_headers(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    // nghttp2 refuses those itself, as SETTINGS_ENABLE_PUSH says that there is none.
    if (frame->hd.type == NGHTTP2_PUSH_PROMISE) return NGHTTP2_ERR_CALLBACK_FAILURE;
    self(user).block_ = {};
    return 0;
  }

  static int header(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                    const std::uint8_t* name, std::size_t name_size, const std::uint8_t* value,
                    std::size_t value_size, std::uint8_t flags, void* user) {
    const bool read_on =
        self(user).block_.add(text_of(name, name_size), text_of(value, value_size),
                              (flags & NGHTTP2_NV_FLAG_NO_INDEX) != 0, self(user).limits_.head);
    self(user).hopeless_ = !read_on;
    return read_on ? 0 : NGHTTP2_ERR_CALLBACK_FAILURE;
  }

  // nghttp2 would leave the field out.
  static int invalid_header(nghttp2_session* /*session*/, const nghttp2_frame* /*frame*/,
                            const std::uint8_t* /*name*/, std::size_t /*name_size*/,
                            const std::uint8_t* /*value*/, std::size_t /*value_size*/,
                            std::uint8_t /*flags*/, void* user) {
    self(user).block_.malform("a field of it is malformed");
    return 0;
  }

  static int data(nghttp2_session* /*session*/, std::uint8_t /*flags*/, std::int32_t stream,
                  const std::uint8_t* data, std::size_t size, void* user) {
    self(user).handler_.data(stream, text_of(data, size));
    return 0;
  }

  static int frame(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    auto& handler = self(user).handler_;
    switch (frame->hd.type) {
      case NGHTTP2_HEADERS:
        handler.head(frame->hd.stream_id, std::exchange(self(user).block_, {}), ends_stream(frame));
        break;
      case NGHTTP2_DATA:
        if (ends_stream(frame)) handler.end(frame->hd.stream_id);
        break;
      case NGHTTP2_SETTINGS:
        if ((frame->hd.flags & NGHTTP2_FLAG_ACK) == 0) handler.settings();
        break;
      case NGHTTP2_GOAWAY:
        handler.goaway();
        break;
      default:
        break;
    }
    return 0;
  }

  static int stream_close(nghttp2_session* /*session*/, std::int32_t stream, std::uint32_t code,
                          void* user) {
    self(user).handler_.closed(stream, Http2Error{code});
    self(user).bodies_.erase(stream);
    return 0;
  }

  static ssize_t send(nghttp2_session* /*session*/, const std::uint8_t* data, std::size_t size,
                      int /*flags*/, void* user) {
    auto& to = *self(user).filled_;
    if (to.size() >= Http2Session::kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
    const auto bytes = std::as_bytes(std::span(data, size));
    to.insert(to.end(), bytes.begin(), bytes.end());
    return static_cast<ssize_t>(size);
  }

  static ssize_t read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* /*buffer*/,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source* source,
                           void* user) {
    const auto& body = *static_cast<const Http2Outgoing*>(source->ptr);
    const auto some = std::min(size, body.size());
    if (some == 0 && !body.ended) return NGHTTP2_ERR_DEFERRED;
    *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
    if (some < body.size() || !body.ended) return static_cast<ssize_t>(some);
    *flags |= NGHTTP2_DATA_FLAG_EOF;
    if (!body.trailers.all().empty()) {
      const Http2Fields trailers{.all = body.trailers.all(), .never_indexed = {}};
      const auto fields = name_values(trailers);
      if (nghttp2_submit_trailer(session, stream, fields.data(), fields.size()) != 0)
        return NGHTTP2_ERR_CALLBACK_FAILURE;
      self(user).queued_head_bytes_ += head_bytes(fields.data(), fields.size());
      *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
    }
    return static_cast<ssize_t>(some);
  }

  static int send_body(nghttp2_session* /*session*/, nghttp2_frame* frame,
                       const std::uint8_t* frame_head, std::size_t size,
                       nghttp2_data_source* source, void* user) {
    constexpr std::size_t kFrameHeadBytes = 9;
    auto& to = *self(user).filled_;
    if (to.size() >= Http2Session::kFillBytes) return NGHTTP2_ERR_WOULDBLOCK;
    // It may have been dropped since the frame was made; nghttp2 resets the stream then.
    auto& body = *static_cast<Http2Outgoing*>(source->ptr);
    if (body.size() < size) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
    const auto head = std::as_bytes(std::span(frame_head, kFrameHeadBytes));
    to.insert(to.end(), head.begin(), head.end());
    body.take(size, to);
    self(user).handler_.taken(frame->hd.stream_id, size);
    return 0;
  }

  static int frame_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, void* user) {
    if (frame->hd.type == NGHTTP2_DATA) ++self(user).sent_data_;
    if (frame->hd.type == NGHTTP2_HEADERS) head_is_gone(frame, user);
    const bool of_stream = frame->hd.type == NGHTTP2_DATA || frame->hd.type == NGHTTP2_HEADERS;
    if (of_stream && ends_stream(frame)) self(user).handler_.sent_all(frame->hd.stream_id);
    return 0;
  }

  static int frame_not_sent(nghttp2_session* /*session*/, const nghttp2_frame* frame, int /*code*/,
                            void* user) {
    if (frame->hd.type != NGHTTP2_HEADERS) return 0;
    head_is_gone(frame, user);
    // A request to a server that takes no more. Other heads are of streams that are closed.
    if (frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
    self(user).handler_.closed(frame->hd.stream_id, Http2Error::kRefusedStream);
    self(user).bodies_.erase(frame->hd.stream_id);
    return 0;
  }

  static void head_is_gone(const nghttp2_frame* frame, void* user) {
    self(user).queued_head_bytes_ -= std::min(self(user).queued_head_bytes_,
                                              head_bytes(frame->headers.nva, frame->headers.nvlen));
  }

  static int fault(nghttp2_session* /*session*/, int /*code*/, const char* message,
                   std::size_t size, void* user) {
    // What is behind it are fields of the peer's, which are nobody else's to read.
    const std::string_view text(message, size);
    self(user).fault_ = text.substr(0, text.find("name:"));
    return 0;
  }

  static std::unique_ptr<nghttp2_session_callbacks, CallbacksFree> all() {
    nghttp2_session_callbacks* callbacks = nullptr;
    if (nghttp2_session_callbacks_new(&callbacks) != 0) return nullptr;
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_invalid_header_callback(callbacks, invalid_header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_close);
    nghttp2_session_callbacks_set_send_callback(callbacks, send);
    nghttp2_session_callbacks_set_send_data_callback(callbacks, send_body);
    nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, frame_sent);
    nghttp2_session_callbacks_set_on_frame_not_send_callback(callbacks, frame_not_sent);
    nghttp2_session_callbacks_set_error_callback2(callbacks, fault);
    return std::unique_ptr<nghttp2_session_callbacks, CallbacksFree>(callbacks);
  }
};

namespace {

const nghttp2_data_provider* provider_of(const Http2Session::Body& body,
                                         nghttp2_data_provider& provider) {
  if (body == nullptr) return nullptr;
  provider.source.ptr = body.get();
  provider.read_callback = Http2Callbacks::read_body;
  return &provider;
}

}  // namespace

Result<std::unique_ptr<Http2Session>> Http2Session::make(Role role, const Http2Limits& limits,
                                                         Http2Handler& handler) {
  std::unique_ptr<Http2Session> made(new Http2Session(limits, handler));
  auto begun = made->begin(role);
  if (!begun) return propagate(begun);
  return made;
}

Http2Session::~Http2Session() {
  nghttp2_session_del(session_);
}

Result<> Http2Session::begin(Role role) {
  auto callbacks = Http2Callbacks::all();
  nghttp2_option* made = nullptr;
  nghttp2_option_new(&made);
  std::unique_ptr<nghttp2_option, OptionFree> option(made);
  if (!callbacks || !option) return fail("set up", kSubject, "there is no memory");
  // Windows are given back by give_back() alone.
  nghttp2_option_set_no_auto_window_update(option.get(), 1);
  nghttp2_option_set_max_outbound_ack(option.get(), kMostAcknowledgements);
  nghttp2_option_set_no_closed_streams(option.get(), 1);
  const bool server = role == Role::kServer;
  const int created = server ? nghttp2_session_server_new3(&session_, callbacks.get(), this,
                                                           option.get(), http2_memory())
                             : nghttp2_session_client_new3(&session_, callbacks.get(), this,
                                                           option.get(), http2_memory());
  if (created != 0) return fail_nghttp2("set up", created, "");
  const auto window = static_cast<std::uint32_t>(limits_.stream_window);
  const auto head = static_cast<std::uint32_t>(limits_.head.bytes);
  const std::array<nghttp2_settings_entry, 3> settings = {
      {{server ? NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS : NGHTTP2_SETTINGS_ENABLE_PUSH,
        server ? limits_.streams : 0},
       {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, window},
       {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, head}}};
  int said = nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings.data(), settings.size());
  if (said == 0)
    said = nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                                 limits_.connection_window);
  if (said != 0) return fail_nghttp2("set up", said, "");
  return {};
}

Result<> Http2Session::receive(std::span<const std::byte> bytes) {
  const auto used = nghttp2_session_mem_recv(
      session_, reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size());
  if (used >= 0) return {};
  if (used == NGHTTP2_ERR_FLOODED || hopeless_)
    return fail("read from", kSubject, "it sends what only costs", "", ErrorKind::kNoSpace);
  return fail_nghttp2("read from", static_cast<int>(used), fault_);
}

Result<> Http2Session::fill(std::vector<std::byte>& to) {
  filled_ = &to;
  const int sent = nghttp2_session_send(session_);
  filled_ = nullptr;
  if (sent != 0) return fail_nghttp2("write to", sent, "");
  return {};
}

std::optional<std::int32_t> Http2Session::send_request(const Http2Fields& fields, Body body) {
  const auto head = name_values(fields);
  nghttp2_data_provider provider{};
  const auto stream = nghttp2_submit_request(session_, nullptr, head.data(), head.size(),
                                             provider_of(body, provider), nullptr);
  if (stream < 0) return std::nullopt;
  if (body) bodies_.insert_or_assign(stream, std::move(body));
  queued_head_bytes_ += head_bytes(head.data(), head.size());
  return stream;
}

bool Http2Session::send_answer(std::int32_t stream, const Http2Fields& fields, Body body) {
  const auto head = name_values(fields);
  nghttp2_data_provider provider{};
  if (nghttp2_submit_response(session_, stream, head.data(), head.size(),
                              provider_of(body, provider)) != 0) {
    return false;
  }
  if (body) bodies_.insert_or_assign(stream, std::move(body));
  queued_head_bytes_ += head_bytes(head.data(), head.size());
  return true;
}

bool Http2Session::send_interim(std::int32_t stream, const Http2Fields& fields) {
  const auto head = name_values(fields);
  if (nghttp2_submit_headers(session_, NGHTTP2_FLAG_NONE, stream, nullptr, head.data(), head.size(),
                             nullptr) != 0) {
    return false;
  }
  queued_head_bytes_ += head_bytes(head.data(), head.size());
  return true;
}

// The stream may have been closed meanwhile, here and below; then there is nothing to do.
void Http2Session::resume(std::int32_t stream) {
  static_cast<void>(nghttp2_session_resume_data(session_, stream));
}

void Http2Session::reset(std::int32_t stream, Http2Error error) {
  static_cast<void>(nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, stream,
                                              static_cast<std::uint32_t>(error)));
}

void Http2Session::give_back(std::int32_t stream, std::size_t size) {
  static_cast<void>(nghttp2_session_consume(session_, stream, size));
}

void Http2Session::widen(std::int32_t stream, std::int32_t window) {
  static_cast<void>(
      nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, stream, window));
}

void Http2Session::allow_websockets() {
  const nghttp2_settings_entry setting{NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL, 1};
  static_cast<void>(nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &setting, 1));
}

bool Http2Session::peer_allows_websockets() const {
  return nghttp2_session_get_remote_settings(session_, NGHTTP2_SETTINGS_ENABLE_CONNECT_PROTOCOL) ==
         1;
}

void Http2Session::refuse_more() {
  static_cast<void>(nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                                          nghttp2_session_get_last_proc_stream_id(session_),
                                          NGHTTP2_NO_ERROR, nullptr, 0));
}

void Http2Session::terminate(Http2Error error) {
  static_cast<void>(nghttp2_session_terminate_session(session_, static_cast<std::uint32_t>(error)));
}

bool Http2Session::ended() const {
  return nghttp2_session_want_read(session_) == 0 && nghttp2_session_want_write(session_) == 0;
}

bool Http2Session::overfull() const {
  return nghttp2_session_get_outbound_queue_size(session_) > limits_.queued_frames ||
         queued_head_bytes_ > limits_.queued_head_bytes;
}

}  // namespace capsem::host::net
