#include "host/net/dns_connection.h"

#include <algorithm>
#include <utility>

#include "async/limit.h"
#include "base/fd.h"
#include "wire/codec.h"

namespace capsem::host::net {

// Reading is one of the tasks: when this is cancelled, too, none of them is left.
Task<> DnsConnection::run() {
  tasks_.spawn(read_to_end());
  co_await tasks_.join();
}

Task<> DnsConnection::read_to_end() {
  co_await read();
  tasks_.cancel();
}

Task<> DnsConnection::read() {
  wire::MessageDecoder<wire::GuestDns> decoder;
  bool opened = false;
  for (;;) {
    auto message = decoder.next();
    if (!message) co_return;
    if (!*message) {
      auto size = co_await read_some(decoder, opened);
      if (!size || *size == 0) co_return;
      decoder.commit(*size);
      continue;
    }
    if (auto* open = std::get_if<wire::DnsOpen>(&**message); open != nullptr) {
      opened = co_await token_.admits(open->token);
      if (!opened) co_return;
    } else if (!opened) {
      co_return;
    } else {
      while (answering_ == kMaxQueries || unsent_.size() > kMaxUnsentBytes)
        co_await answered_.wait();
      ++answering_;
      tasks_.spawn(answer(std::get<wire::DnsQuery>(std::move(**message))));
    }
  }
}

Task<Result<std::size_t>> DnsConnection::read_some(wire::MessageDecoder<wire::GuestDns>& decoder,
                                                   bool opened) {
  if (opened) co_return co_await guest_.read_some(decoder.prepare());
  auto left = std::chrono::ceil<std::chrono::milliseconds>(begin_ + kFirstMessageLimit -
                                                           std::chrono::steady_clock::now());
  auto limit = std::max(left, std::chrono::milliseconds(0));
  auto size = co_await async::with_limit(limit, guest_.read_some(decoder.prepare()));
  co_return size ? *size : Result<std::size_t>(std::size_t{0});
}

Task<> DnsConnection::answer(wire::DnsQuery query) {
  auto transport = query.stream ? Transport::kTcp : Transport::kUdp;
  auto given = co_await service_.respond(as_bytes(query.message), transport);
  wire::DnsAnswer answer{.id = query.id, .message = {}};
  if (given) answer.message = std::string(as_text(*given));
  auto frame = wire::encode<wire::HostDns>(std::move(answer));
  if (frame) unsent_ += *frame;
  co_await write();
  --answering_;
  answered_.notify();
}

// One writes for all.
Task<> DnsConnection::write() {
  if (writing_) co_return;
  writing_ = true;
  while (!unsent_.empty()) {
    auto sending = std::exchange(unsent_, {});
    auto sent = co_await guest_.write_all(as_bytes(sending));
    if (!sent) {
      // Which ends read() as well.
      guest_.reset();
      unsent_.clear();
    }
    answered_.notify();
  }
  writing_ = false;
}

}  // namespace capsem::host::net
