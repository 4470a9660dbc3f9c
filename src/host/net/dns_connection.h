// A connection of the guest's proxy that carries DNS queries (wire::GuestDns), any number at a
// time.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <string>

#include "async/event.h"
#include "async/stream.h"
#include "async/task.h"
#include "async/task_group.h"
#include "host/net/dns_service.h"
#include "host/net/net_token.h"
#include "wire/frame.h"
#include "wire/messages.h"

namespace capsem::host::net {

class DnsConnection {
 public:
  static constexpr std::size_t kMaxQueries = 256;  // that are answered at a time
  // Of answers that the guest does not read; beyond that, its queries are not read either.
  static constexpr std::size_t kMaxUnsentBytes = 256 << 10;
  // For who has not shown the token yet.
  static constexpr std::chrono::seconds kFirstMessageLimit{5};

  DnsConnection(const boost::asio::any_io_executor& executor, async::Stream& guest, NetToken& token,
                DnsService& service)
      : guest_(guest), token_(token), service_(service), tasks_(executor) {}

  // Answers until the connection ends, or says what it should not.
  Task<> run();

 private:
  Task<> read_to_end();
  Task<> read();
  Task<Result<std::size_t>> read_some(wire::MessageDecoder<wire::GuestDns>& decoder, bool opened);
  Task<> answer(wire::DnsQuery query);
  Task<> write();

  async::Stream& guest_;
  NetToken& token_;
  DnsService& service_;
  std::chrono::steady_clock::time_point begin_ = std::chrono::steady_clock::now();
  std::size_t answering_ = 0;
  async::Event answered_;
  std::string unsent_;
  bool writing_ = false;
  async::TaskGroup tasks_;
};

}  // namespace capsem::host::net
