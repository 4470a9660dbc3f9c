#include "host/net/http2_proxy.h"

#include <algorithm>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <memory>
#include <optional>
#include <utility>

#include "async/event.h"
#include "async/limit.h"
#include "async/task_group.h"
#include "host/net/http2_exchanges.h"
#include "host/net/http2_side.h"
#include "host/net/linger.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// Of what the client still sends, while it reads why the connection ends.
constexpr std::size_t kLingerBytes = 1 << 20;

// A task for each direction of each side, one for each request that is being judged, and one that
// looks at the time.
class Proxy {
 public:
  Proxy(const asio::any_io_executor& executor, async::Stream& guest, HttpProxyOptions options,
        const Http2Limits& limits)
      : guest_stream_(guest),
        options_(std::move(options)),
        limits_(limits),
        timer_(executor),
        tasks_(executor),
        exchanges_(options_, limits_, tasks_, events()) {}
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  Task<> run();

 private:
  Http2Exchanges::Events events();
  Task<> connect();
  Task<> read_guest();
  Task<> write_guest();
  Task<> read_server();
  Task<> write_server();
  Task<> watch();

  Result<> check();
  void changed();
  void allow_websockets();
  void hear_server();
  void drain();
  void close(Http2Error error, const std::string& reason);
  void lose_server(const std::string& reason);
  void abort(const std::string& reason);
  void note_idle();
  Clock::time_point next_look() const;
  void look(Clock::time_point now);

  async::Stream& guest_stream_;
  std::unique_ptr<async::Stream> server_stream_;
  HttpProxyOptions options_;
  Http2Limits limits_;

  bool server_spoke_ = false;
  async::Event server_spoke_event_;
  bool server_lost_ = false;
  bool websockets_allowed_ = false;
  bool draining_ = false;  // no more requests
  bool aborted_ = false;
  std::optional<Clock::time_point> closing_until_;
  std::optional<Clock::time_point> idle_since_ = Clock::now();

  asio::steady_timer timer_;
  async::TaskGroup tasks_;
  // The sessions go before what they call.
  Http2Exchanges exchanges_;
  std::unique_ptr<Http2Side> guest_;
  std::unique_ptr<Http2Side> server_;
};

Http2Exchanges::Events Proxy::events() {
  return {.changed = [this] { changed(); },
          .server_settings = [this] { allow_websockets(); },
          .server_goaway = [this] { drain(); },
          .guest_goaway = [this] { draining_ = true; }};
}

Task<> Proxy::run() {
  using Role = Http2Session::Role;
  auto guest = Http2Side::make(guest_stream_, Role::kServer, limits_, exchanges_.guest_side());
  if (!guest) co_return guest_stream_.reset();
  guest_ = std::move(*guest);
  exchanges_.use_guest(guest_->session());
  co_await connect();
  tasks_.spawn(read_guest());
  tasks_.spawn(write_guest());
  tasks_.spawn(watch());
  if (server_) {
    tasks_.spawn(read_server());
    tasks_.spawn(write_server());
  }
  co_await tasks_.join();
  server_stream_.reset();
  if (aborted_)
    guest_stream_.reset();
  else
    co_await linger(guest_stream_, kLingerBytes, options_.limits.linger_time);
}

Task<> Proxy::connect() {
  auto connected = co_await options_.connect(options_.place.host);
  if (connected) {
    server_stream_ = std::move(*connected);
    auto server = Http2Side::make(*server_stream_, Http2Session::Role::kClient, limits_,
                                  exchanges_.server_side());
    if (server) {
      server_ = std::move(*server);
      exchanges_.use_server(server_->session());
      co_return;
    }
    connected = propagate(server);
  }
  server_spoke_ = true;
  exchanges_.no_server(connected.error().message());
}

// ---- the client's side

Task<> Proxy::read_guest() {
  std::function<Result<>()> check_all = [this] { return check(); };
  auto read = co_await guest_->read(std::move(check_all));
  if (!read && read.error().kind() == ErrorKind::kNoSpace)
    co_return close(Http2Error::kEnhanceYourCalm, read.error().reason());
  if (!read && read.error().kind() == ErrorKind::kInvalid)
    co_return close(Http2Error::kProtocol, read.error().reason());
  if (!read) co_return abort(read.error().reason());
  exchanges_.fail_all("the client ended the connection");
  tasks_.cancel();
}

Task<> Proxy::write_guest() {
  // What the server allows is best said in our first words. Requests are read meanwhile.
  if (!server_spoke_) co_await async::with_limit(limits_.settings_time, server_spoke_event_.wait());
  auto written = co_await guest_->write();
  if (!written) co_return abort(written.error().reason());
  tasks_.cancel();
}

// Behind each piece that came from either side.
Result<> Proxy::check() {
  changed();
  const char* reason = nullptr;
  if (exchanges_.too_many_resets())
    reason = "too many requests were withdrawn";
  else if (guest_->session().overfull())
    reason = "the client does not take what is for it";
  else if (server_ && server_->session().overfull())
    reason = "the server does not take what is for it";
  if (reason == nullptr) return {};
  close(Http2Error::kEnhanceYourCalm, reason);
  return fail("serve", "an HTTP/2 connection", reason, "", ErrorKind::kNoSpace);
}

// ---- the server's side

Task<> Proxy::read_server() {
  std::function<Result<>()> check_all = [this] { return check(); };
  auto read = co_await server_->read(std::move(check_all));
  lose_server(read ? "it ended the connection" : read.error().reason());
}

Task<> Proxy::write_server() {
  auto written = co_await server_->write();
  lose_server(written ? "it ended the connection" : written.error().reason());
}

void Proxy::lose_server(const std::string& reason) {
  if (std::exchange(server_lost_, true)) return;
  exchanges_.lose_server(reason);
  server_stream_->reset();
  if (server_spoke_) return drain();
  exchanges_.no_server("cannot speak HTTP/2 with '" + options_.place.host + "': " + reason);
  hear_server();
}

void Proxy::allow_websockets() {
  if (server_->session().peer_allows_websockets() && !std::exchange(websockets_allowed_, true))
    guest_->session().allow_websockets();
  hear_server();
}

// Lets the client hear us.
void Proxy::hear_server() {
  if (!std::exchange(server_spoke_, true)) server_spoke_event_.notify();
}

// The server takes no more requests, so that the client has to ask on another connection.
void Proxy::drain() {
  if (!std::exchange(draining_, true)) guest_->session().refuse_more();
  changed();
}

// ---- the end

void Proxy::changed() {
  guest_->wake();
  if (server_) server_->wake();
  note_idle();
}

// The client is told, and the connection ends when that is sent.
void Proxy::close(Http2Error error, const std::string& reason) {
  if (closing_until_) return;
  closing_until_ = Clock::now() + options_.limits.linger_time;
  exchanges_.fail_all(reason);
  guest_->session().terminate(error);
  hear_server();
  guest_->wake();
  timer_.cancel();
}

void Proxy::abort(const std::string& reason) {
  aborted_ = true;
  exchanges_.fail_all(reason);
  tasks_.cancel();
}

// ---- time

void Proxy::note_idle() {
  if (!exchanges_.empty())
    idle_since_.reset();
  else if (!idle_since_)
    idle_since_ = Clock::now();
  // A timer that runs for longer would come too late; one that runs for less looks again.
  if (next_look() < timer_.expiry()) timer_.cancel();
}

Clock::time_point Proxy::next_look() const {
  if (closing_until_) return *closing_until_;
  // Not within a call of a session, whose end it is.
  if (draining_ && exchanges_.empty()) return Clock::time_point::min();
  auto next = idle_since_ ? *idle_since_ + options_.limits.idle_time
                          // What is stalled is found within twice its time.
                          : Clock::now() + limits_.stall_time;
  for (const auto* side : {guest_.get(), server_.get()})
    if (side != nullptr && side->in_head_since() && !(side == server_.get() && server_lost_))
      next = std::min(next, *side->in_head_since() + options_.limits.head_time);
  return next;
}

void Proxy::look(Clock::time_point now) {
  const auto stalled = now - limits_.stall_time;
  if (closing_until_.value_or(now + limits_.stall_time) <= now ||
      guest_->writing_since().value_or(now) < stalled) {
    return abort("the client does not take what is for it");
  }
  if (closing_until_) return;
  if (draining_ && exchanges_.empty()) return close(Http2Error::kNone, "");
  const auto slow = now - options_.limits.head_time;
  if (guest_->in_head_since().value_or(now) <= slow)
    return close(Http2Error::kNone, "a head took too long");
  // Nothing else of the connection is read until it is whole.
  if (server_ && !server_lost_ && server_->in_head_since().value_or(now) <= slow)
    return lose_server("what it says takes too long");
  if (server_ && !server_lost_ && server_->writing_since().value_or(now) < stalled)
    return lose_server("it does not take what is for it");
  if (idle_since_.value_or(now) <= now - options_.limits.idle_time)
    return close(Http2Error::kNone, "");
  exchanges_.reset_stalled(stalled);
  changed();
}

Task<> Proxy::watch() {
  for (;;) {
    boost::system::error_code error;
    timer_.expires_at(next_look());
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    const auto now = Clock::now();
    if (!error || now >= timer_.expiry()) look(now);
  }
}

}  // namespace

Task<> proxy_http2(async::Stream& guest, HttpProxyOptions options, Http2Limits limits) {
  auto executor = co_await asio::this_coro::executor;
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto proxy = std::make_unique<Proxy>(executor, guest, std::move(options), limits);
  co_await proxy->run();
}

}  // namespace capsem::host::net
