// A client or a server of HTTP/2 that a test plays: nghttp2 over a stream, with nothing of ours.
#pragma once

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cstdint>
#include <functional>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "async/event.h"
#include "async/stream.h"
#include "async/task_group.h"

namespace capsem::host::net::testing {

using Fields = std::vector<std::pair<std::string, std::string>>;

inline std::string value_of(const Fields& fields, std::string_view name) {
  for (const auto& [each, value] : fields)
    if (each == name) return value;
  return "(none)";
}

class Http2Peer {
 public:
  struct Message {
    std::vector<Fields> heads;  // interim answers, head, trailers
    std::string body;
    bool ended = false;
    bool closed = false;
    std::uint32_t error = 0;
    // What is to be sent, and how much of it is.
    std::string to_send;
    bool send_end = true;
    Fields send_trailers;
    std::size_t sent = 0;

    std::string status() const { return heads.empty() ? "" : value_of(heads.back(), ":status"); }
  };
  struct Options {
    bool server = false;
    std::vector<nghttp2_settings_entry> settings;
    bool opens_windows = true;
  };

  Http2Peer(const boost::asio::any_io_executor& executor, async::Stream& stream, Options options)
      : stream_(stream), tasks_(executor) {
    nghttp2_session_callbacks* callbacks = nullptr;
    nghttp2_session_callbacks_new(&callbacks);
    nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, begin_headers);
    nghttp2_session_callbacks_set_on_header_callback(callbacks, header);
    nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, data);
    nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, frame);
    nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, stream_close);
    nghttp2_option* option = nullptr;
    nghttp2_option_new(&option);
    nghttp2_option_set_no_auto_window_update(option, options.opens_windows ? 0 : 1);
    nghttp2_option_set_no_http_messaging(option, 1);  // what the proxy lets through is shown
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_ALTSVC);
    nghttp2_option_set_builtin_recv_extension_type(option, NGHTTP2_ORIGIN);
    if (options.server)
      nghttp2_session_server_new2(&session, callbacks, this, option);
    else
      nghttp2_session_client_new2(&session, callbacks, this, option);
    nghttp2_option_del(option);
    nghttp2_session_callbacks_del(callbacks);
    nghttp2_submit_settings(session, 0, options.settings.data(), options.settings.size());
    tasks_.spawn(read());
    tasks_.spawn(write());
  }
  ~Http2Peer() { nghttp2_session_del(session); }
  Http2Peer(const Http2Peer&) = delete;
  Http2Peer& operator=(const Http2Peer&) = delete;

  // With a body unless it is null; `ends` of it may come later.
  std::int32_t request(const Fields& fields, const char* body = nullptr, bool ends = true) {
    const auto head = name_values(fields);
    // The number is known only then, and the body is read later.
    auto provider = provider_of();
    const auto stream = nghttp2_submit_request(session, nullptr, head.data(), head.size(),
                                               body == nullptr ? nullptr : &provider, nullptr);
    if (stream < 0) return stream;
    set(stream, body, ends);
    return stream;
  }
  void answer(std::int32_t stream, const Fields& fields, const char* body = nullptr,
              bool ends = true, Fields trailers = {}) {
    const auto head = name_values(fields);
    auto provider = provider_of();
    set(stream, body, ends);
    streams[stream].send_trailers = std::move(trailers);
    nghttp2_submit_response(session, stream, head.data(), head.size(),
                            body == nullptr ? nullptr : &provider);
    wake();
  }
  void interim(std::int32_t stream, const Fields& fields) {
    const auto head = name_values(fields);
    nghttp2_submit_headers(session, 0, stream, nullptr, head.data(), head.size(), nullptr);
    wake();
  }
  void more(std::int32_t stream, const std::string& body, bool ends) {
    streams[stream].to_send += body;
    streams[stream].send_end = ends;
    nghttp2_session_resume_data(session, stream);
    wake();
  }
  void reset(std::int32_t stream, std::uint32_t error) {
    nghttp2_submit_rst_stream(session, 0, stream, error);
    wake();
  }
  void wake() { wake_.notify(); }

  // Stops all; the stream is the test's to end.
  Task<> stop() {
    tasks_.cancel();
    co_await tasks_.join();
  }

  nghttp2_session* session = nullptr;
  std::map<std::int32_t, Message> streams;
  std::vector<std::int32_t> requests;  // heads that came first on their stream
  std::vector<std::uint8_t> frames;    // the types of all that came
  std::function<void(std::int32_t)> on_request;
  bool went_away = false;
  std::uint32_t goaway_error = 0;
  bool ended = false;

 private:
  static Http2Peer& self(void* user) { return *static_cast<Http2Peer*>(user); }

  static int begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& message = self(user).streams[frame->hd.stream_id];
    if (message.heads.empty()) self(user).requests.push_back(frame->hd.stream_id);
    message.heads.emplace_back();
    return 0;
  }
  static int header(nghttp2_session*, const nghttp2_frame* frame, const std::uint8_t* name,
                    std::size_t name_size, const std::uint8_t* value, std::size_t value_size,
                    std::uint8_t, void* user) {
    self(user).streams[frame->hd.stream_id].heads.back().emplace_back(
        std::string(reinterpret_cast<const char*>(name), name_size),
        std::string(reinterpret_cast<const char*>(value), value_size));
    return 0;
  }
  static int data(nghttp2_session*, std::uint8_t, std::int32_t stream, const std::uint8_t* bytes,
                  std::size_t size, void* user) {
    self(user).streams[stream].body.append(reinterpret_cast<const char*>(bytes), size);
    return 0;
  }
  static int frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
    auto& peer = self(user);
    peer.frames.push_back(frame->hd.type);
    const auto stream = frame->hd.stream_id;
    if (frame->hd.type == NGHTTP2_GOAWAY) {
      peer.went_away = true;
      peer.goaway_error = frame->goaway.error_code;
    }
    if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
    if ((frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0) peer.streams[stream].ended = true;
    if (frame->hd.type == NGHTTP2_HEADERS && peer.streams[stream].heads.size() == 1 &&
        peer.on_request)
      peer.on_request(stream);
    return 0;
  }
  static int stream_close(nghttp2_session*, std::int32_t stream, std::uint32_t error, void* user) {
    self(user).streams[stream].closed = true;
    self(user).streams[stream].error = error;
    return 0;
  }
  static ssize_t read_body(nghttp2_session* session, std::int32_t stream, std::uint8_t* buffer,
                           std::size_t size, std::uint32_t* flags, nghttp2_data_source*,
                           void* user) {
    auto& message = self(user).streams[stream];
    const auto some = std::min(size, message.to_send.size() - message.sent);
    std::copy_n(message.to_send.data() + message.sent, some, buffer);
    message.sent += some;
    if (message.sent == message.to_send.size() && message.send_end) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      if (!message.send_trailers.empty()) {
        *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
        const auto trailers = name_values(message.send_trailers);
        nghttp2_submit_trailer(session, stream, trailers.data(), trailers.size());
      }
      return static_cast<ssize_t>(some);
    }
    if (some == 0) return NGHTTP2_ERR_DEFERRED;
    return static_cast<ssize_t>(some);
  }

  static nghttp2_data_provider provider_of() {
    nghttp2_data_provider provider{};
    provider.read_callback = read_body;
    return provider;
  }
  void set(std::int32_t stream, const char* body, bool ends) {
    streams[stream].to_send = body == nullptr ? "" : body;
    streams[stream].send_end = ends;
    wake();
  }
  static std::vector<nghttp2_nv> name_values(const Fields& fields) {
    std::vector<nghttp2_nv> result;
    auto bytes = [](const std::string& text) {
      return reinterpret_cast<std::uint8_t*>(const_cast<char*>(text.data()));
    };
    for (const auto& [name, value] : fields)
      result.push_back({bytes(name), bytes(value), name.size(), value.size(), 0});
    return result;
  }

  Task<> read() {
    std::vector<std::byte> buffer(64 << 10);
    for (;;) {
      auto size = co_await stream_.read_some(buffer);
      if (!size || *size == 0) break;
      const auto used = nghttp2_session_mem_recv(
          session, reinterpret_cast<const std::uint8_t*>(buffer.data()), *size);
      if (used < 0) break;
      wake();
    }
    ended = true;
  }

  Task<> write() {
    for (;;) {
      const std::uint8_t* bytes = nullptr;
      const auto size = nghttp2_session_mem_send(session, &bytes);
      if (size < 0) co_return;
      if (size == 0) {
        co_await wake_.wait();
        continue;
      }
      auto written = co_await stream_.write_all(
          std::as_bytes(std::span(bytes, static_cast<std::size_t>(size))));
      if (!written) co_return;
    }
  }

  async::Stream& stream_;
  async::Event wake_;
  async::TaskGroup tasks_;
};

}  // namespace capsem::host::net::testing
