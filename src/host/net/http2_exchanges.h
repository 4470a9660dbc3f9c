// The requests that are under way on one HTTP/2 connection, each a stream with the client in the
// guest and, once it may go out, one with the server.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/task_group.h"
#include "host/net/http1_proxy.h"
#include "host/net/http2_heads.h"
#include "host/net/http2_limits.h"
#include "host/net/http2_session.h"

namespace capsem::host::net {

class Http2Exchanges {
 public:
  using Clock = std::chrono::steady_clock;

  // What the connection has to know.
  struct Events {
    std::function<void()> changed;  // a session may have something to send
    std::function<void()> server_settings;
    std::function<void()> server_goaway;
    std::function<void()> guest_goaway;
  };

  // Requests are judged by tasks of `tasks`, which have to end before.
  Http2Exchanges(const HttpProxyOptions& options, const Http2Limits& limits,
                 async::TaskGroup& tasks, Events events);
  Http2Exchanges(const Http2Exchanges&) = delete;
  Http2Exchanges& operator=(const Http2Exchanges&) = delete;
  // Those that are still under way did not end well, and are recorded so.
  ~Http2Exchanges();

  Http2Handler& guest_side() { return guest_side_; }
  Http2Handler& server_side() { return server_side_; }
  void use_guest(Http2Session& session) { guest_ = &session; }
  void use_server(Http2Session& session) { server_ = &session; }

  // Requests are answered with 502 and this reason.
  void no_server(std::string reason);
  // So are those that have no answer yet; more are not taken.
  void lose_server(const std::string& reason);
  // Why those that are under way will not end well.
  void fail_all(const std::string& reason);

  bool empty() const { return by_guest_.empty(); }
  // The client has begun and withdrawn too many.
  bool too_many_resets() const { return too_many_resets_; }
  // Resets those of which a side has taken nothing since `since`, though something waits for it.
  void reset_stalled(Clock::time_point since);

 private:
  struct Exchange;
  using ExchangePointer = std::shared_ptr<Exchange>;
  using Exchanges = std::map<std::int32_t, ExchangePointer>;

  // What comes from the guest.
  class GuestSide final : public Http2Handler {
   public:
    explicit GuestSide(Http2Exchanges& all) : all_(all) {}
    void head(std::int32_t stream, Http2Block block, bool ends) override;
    void data(std::int32_t stream, std::string_view piece) override;
    void end(std::int32_t stream) override;
    void closed(std::int32_t stream, Http2Error error) override;
    void taken(std::int32_t stream, std::size_t size) override;
    void sent_all(std::int32_t stream) override;
    void settings() override {}
    void goaway() override { all_.events_.guest_goaway(); }

   private:
    Http2Exchanges& all_;
  };
  // What comes from the server.
  class ServerSide final : public Http2Handler {
   public:
    explicit ServerSide(Http2Exchanges& all) : all_(all) {}
    void head(std::int32_t stream, Http2Block block, bool ends) override;
    void data(std::int32_t stream, std::string_view piece) override;
    void end(std::int32_t stream) override;
    void closed(std::int32_t stream, Http2Error error) override;
    void taken(std::int32_t stream, std::size_t size) override;
    void sent_all(std::int32_t /*stream*/) override {}
    void settings() override { all_.events_.server_settings(); }
    void goaway() override { all_.events_.server_goaway(); }

   private:
    Http2Exchanges& all_;
  };

  static ExchangePointer find(const Exchanges& in, std::int32_t stream);
  void begin(std::int32_t stream, Http2Block block, bool ends);
  Task<> judge(ExchangePointer exchange);
  void keep(const ExchangePointer& exchange, std::shared_ptr<RequestUnderWay> under_way);
  bool check_body(Exchange& exchange, std::string_view piece);
  bool check_trailers(Exchange& exchange, const HttpFields& trailers);
  bool end_for(Exchange& exchange, std::optional<std::string> fault);
  void pass_on(const ExchangePointer& exchange);
  void pass_back(Exchange& exchange, PlainAnswer& answer, bool ends);
  void pass_back(Exchange& exchange, std::string_view piece);
  void end_request(Exchange& exchange);
  void end_answer(Exchange& exchange);
  void refuse(Exchange& exchange, unsigned status, std::string reason);
  void reset(Exchange& exchange, Http2Error error, std::string failure);
  void drop_request_body(Exchange& exchange);
  void stop_body(Exchange& exchange);
  void close_server(const ExchangePointer& exchange, Http2Error error, const std::string& reason);
  void forget_head(Exchange& exchange);
  void end_if_over(const ExchangePointer& exchange);
  void log_malformed(Http2Error error);
  void log(Exchange& exchange);

  const HttpProxyOptions& options_;
  Http2Limits limits_;
  async::TaskGroup& tasks_;
  Events events_;
  GuestSide guest_side_{*this};
  ServerSide server_side_{*this};
  Http2Session* guest_ = nullptr;
  Http2Session* server_ = nullptr;
  std::string no_server_;
  Exchanges by_guest_;
  Exchanges by_server_;
  std::size_t head_bytes_ = 0;
  Http2Meter resets_;
  bool too_many_resets_ = false;
  bool has_answered_ = false;  // the server, to some request
};

}  // namespace capsem::host::net
