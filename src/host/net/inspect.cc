#include "host/net/inspect.h"

#include <algorithm>
#include <boost/asio/this_coro.hpp>
#include <exception>
#include <optional>
#include <utility>

#include "async/task_group.h"
#include "host/net/http2_proxy.h"
#include "host/net/tls_stream.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;

// RFC 7301 and RFC 9113, 3.2.
constexpr const char* kHttp1 = "http/1.1";
constexpr std::chrono::seconds kFinishLimit{2};

using Connected = Result<std::unique_ptr<async::Stream>>;
using Upstream = Result<std::unique_ptr<TlsStream>>;
using Protocols = std::vector<std::string>;

bool lists(const Protocols& protocols, const char* protocol) {
  return std::ranges::find(protocols, protocol) != protocols.end();
}

Task<Upstream> open_upstream(const Inspector& inspector, const InspectOptions& options) {
  auto below = co_await options.connect(options.server_name);
  if (!below) co_return propagate(below);
  Protocols offered{kHttp1};
  if (lists(options.protocols, kHttp2)) offered.insert(offered.begin(), kHttp2);
  TlsClientSide side{inspector.server_side, options.server_name, std::move(offered)};
  co_return co_await TlsStream::connect(std::move(*below), std::move(side));
}

// What the server speaks, as nothing is translated. A client that is to hear that there is no
// server hears it in what it speaks, and one that offers nothing speaks HTTP/1.1.
std::optional<std::string> choose_protocol(const Upstream& upstream, const Protocols& said,
                                           const Protocols& offered) {
  if (said.empty()) return std::string();
  const bool http2 = upstream ? (*upstream)->protocol() == kHttp2
                              : lists(offered, kHttp2) && !lists(offered, kHttp1);
  const char* chosen = http2 ? kHttp2 : kHttp1;
  if (!lists(said, chosen)) return std::nullopt;
  return chosen;
}

HttpProxyOptions proxy_options(InspectOptions options) {
  return {.place = {.port = options.port},
          .judge = std::move(options.judge),
          .record = std::move(options.record),
          .connect = std::move(options.connect),
          .limits = options.limits};
}

// When it is cancelled, too, nothing works on the guest's stream any more after its end.
Task<> serve_client(TlsStream& client, Task<> serve) {
  const bool throws = co_await asio::this_coro::throw_if_cancelled();
  co_await asio::this_coro::throw_if_cancelled(false);
  async::TaskGroup proxy(co_await asio::this_coro::executor);
  proxy.spawn(std::move(serve));
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
  ChooseProtocol choose = [&upstream, offered = options.protocols](const Protocols& said) {
    return choose_protocol(upstream, said, offered);
  };
  TlsServerSide side{inspector.guest_side, std::move(*identity), std::move(choose)};
  auto client = co_await TlsStream::accept(guest, std::move(hello), std::move(side));
  if (!client) co_return propagate(client);

  auto host = options.server_name;
  auto proxied = proxy_options(std::move(options));
  proxied.place.secure = true;
  proxied.place.host = std::move(host);
  proxied.connect = [&upstream](std::string /*host*/) -> Task<Connected> {
    if (!upstream) co_return propagate(upstream);
    co_return std::move(*upstream);
  };
  auto serve = (*client)->protocol() == kHttp2 ? proxy_http2(**client, std::move(proxied))
                                               : proxy_http1(**client, {}, std::move(proxied));
  co_await serve_client(**client, std::move(serve));
  co_return Result<>();
}

Task<Result<>> inspect_plain(async::Stream& guest, std::vector<std::byte> received,
                             InspectOptions options) {
  auto proxied = proxy_options(std::move(options));
  co_await proxy_http1(guest, received, std::move(proxied));
  co_return Result<>();
}

}  // namespace capsem::host::net
