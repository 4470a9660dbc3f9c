#include "host/net/inspect.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "async/task_group.h"
#include "host/net/tls_stream.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;

constexpr const char* kHttp1 = "http/1.1";
constexpr std::chrono::seconds kFinishLimit{2};

using Connected = Result<std::unique_ptr<async::Stream>>;

// What upstream is offered too: HTTP/1.1, which every server speaks.
std::optional<std::string> choose_http1(const std::vector<std::string>& offered) {
  if (offered.empty()) return std::string();
  if (std::ranges::find(offered, kHttp1) == offered.end()) return std::nullopt;
  return kHttp1;
}

Task<Connected> open_upstream(const Inspector& inspector, const InspectOptions& options) {
  auto below = co_await options.connect(options.server_name);
  if (!below) co_return propagate(below);
  TlsClientSide side{inspector.server_side, options.server_name, {kHttp1}};
  auto opened = co_await TlsStream::connect(std::move(*below), std::move(side));
  if (!opened) co_return propagate(opened);
  co_return std::move(*opened);
}

HttpProxyOptions proxy_options(InspectOptions options) {
  return {.place = {.port = options.port},
          .judge = std::move(options.judge),
          .record = std::move(options.record),
          .connect = std::move(options.connect),
          .limits = options.limits};
}

// When it is cancelled, too, nothing works on the guest's stream any more after its end.
Task<> serve_client(TlsStream& client, HttpProxyOptions options) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  async::TaskGroup proxy(co_await asio::this_coro::executor);
  proxy.spawn(proxy_http1(client, {}, std::move(options)));
  std::exception_ptr thrown;
  try {
    co_await proxy.join();
  } catch (...) {
    thrown = std::current_exception();
  }
  const auto state = co_await asio::this_coro::cancellation_state;
  if (thrown || state.cancelled() != asio::cancellation_type::none) client.reset();
  co_await client.finish(kFinishLimit);
  co_await asio::this_coro::throw_if_cancelled(throws);
  if (thrown) std::rethrow_exception(thrown);
}

Result<Inspector> make_with(std::string_view vm, Result<std::shared_ptr<TlsContext>> server_side) {
  if (!server_side) return propagate(server_side);
  auto authority = TlsAuthority::make(vm);
  if (!authority) return propagate(authority);
  auto guest_side = TlsContext::server();
  if (!guest_side) return propagate(guest_side);
  return Inspector{std::move(*authority), std::move(*guest_side), std::move(*server_side)};
}

}  // namespace

Result<Inspector> Inspector::make(std::string_view vm) {
  return make_with(vm, TlsContext::client());
}

Result<Inspector> Inspector::make_trusting(std::string_view vm, std::string_view pem) {
  return make_with(vm, TlsContext::client_trusting(pem));
}

Task<Result<>> inspect_tls(async::Stream& guest, std::vector<std::byte> hello,
                           const Inspector& inspector, InspectOptions options) {
  auto identity = inspector.authority->leaf(options.server_name);
  if (!identity) co_return propagate(identity);
  auto upstream = co_await open_upstream(inspector, options);
  TlsServerSide side{inspector.guest_side, std::move(*identity), choose_http1};
  auto client = co_await TlsStream::accept(guest, std::move(hello), std::move(side));
  if (!client) co_return propagate(client);

  auto host = options.server_name;
  auto proxied = proxy_options(std::move(options));
  proxied.place.secure = true;
  proxied.place.host = std::move(host);
  proxied.connect = [&upstream](std::string /*host*/) -> Task<Connected> {
    co_return std::move(upstream);
  };
  co_await serve_client(**client, std::move(proxied));
  co_return Result<>();
}

Task<Result<>> inspect_plain(async::Stream& guest, std::vector<std::byte> received,
                             InspectOptions options) {
  auto proxied = proxy_options(std::move(options));
  co_await proxy_http1(guest, received, std::move(proxied));
  co_return Result<>();
}

}  // namespace capsem::host::net
