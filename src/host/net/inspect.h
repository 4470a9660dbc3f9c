// Connections that are looked into: TLS ends here on both sides, and each request is judged.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/http1_proxy.h"
#include "host/net/tls_authority.h"
#include "host/net/tls_context.h"

namespace capsem::host::net {

inline constexpr const char* kHttp2 = "h2";  // as ALPN has it, RFC 9113, 3.2

// What the inspected connections of one VM share.
struct Inspector {
  std::unique_ptr<TlsAuthority> authority;
  std::shared_ptr<TlsContext> guest_side;   // TlsContext::server()
  std::shared_ptr<TlsContext> server_side;  // TlsContext::client()

  // With an authority for the VM `vm`, and the host's certificate store.
  static Result<Inspector> make(std::string_view vm);
  // The same with `pem` in place of the host's store.
  static Result<Inspector> make_trusting(std::string_view vm, std::string_view pem);
};

struct InspectOptions {
  // Of the hello, in the form of normal_host(); or the text of the address, for a connection that
  // is allowed by address. Not used without TLS: there each request names its host.
  std::string server_name;
  std::uint16_t port = 0;  // that the guest connected to
  // Of the hello (ALPN). The server is offered HTTP/2 when it is among them, and the client then
  // gets what the server has chosen.
  std::vector<std::string> protocols;
  Judge judge;
  std::function<void(const RequestRecord&)> record;
  // The TCP connection to the real server; with TLS called before anything was judged.
  std::function<Task<Result<std::unique_ptr<async::Stream>>>(std::string host)> connect;
  HttpLimits limits;
};

// Serves a TLS connection of the guest, of which `hello` was read before, to its end. The server is
// connected to and checked first; when that fails, the client gets 502 for its requests. An error
// when TLS with the guest fails, which includes that it does not trust the authority.
Task<Result<>> inspect_tls(async::Stream& guest, std::vector<std::byte> hello,
                           const Inspector& inspector, InspectOptions options);

// The same for one without TLS.
Task<Result<>> inspect_plain(async::Stream& guest, std::vector<std::byte> received,
                             InspectOptions options);

}  // namespace capsem::host::net
