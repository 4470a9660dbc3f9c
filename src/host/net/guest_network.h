// The host's end of the guest's network: the connections of its sessions (port 5002) and their DNS
// queries (port 5007), each judged by the policy.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/latch.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/answers.h"
#include "host/net/denials.h"
#include "host/net/dns_service.h"
#include "host/net/flow_judge.h"
#include "host/net/policy.h"
#include "host/net/resolver.h"
#include "vsock/quota.h"
#include "wire/messages.h"

namespace capsem::host::net {

class GuestNetwork {
 public:
  // As many as the guest's proxy carries, and some that are on their way out.
  static constexpr vsock::Quota kFlowQuota{.connections = 2048, .receive_buffer_bytes = 64 << 20};
  // The proxy has one; others are refused once they have said something.
  static constexpr vsock::Quota kDnsQuota{.connections = 16, .receive_buffer_bytes = 1 << 20};
  // For the first message of a connection.
  static constexpr std::chrono::seconds kFirstMessageLimit{5};
  static constexpr std::size_t kMaxQueries = 256;  // that are answered at a time

  struct Options {
    Policy policy;  // denies all, unless another one is given
    ResolverOptions resolver;
  };
  GuestNetwork(const boost::asio::any_io_executor& executor, Options options, Denials::Tell denied);
  GuestNetwork(const GuestNetwork&) = delete;
  GuestNetwork& operator=(const GuestNetwork&) = delete;

  // What the guest's PID 1 said its proxy begins connections with. The first counts: whoever comes
  // later may be another process of the guest. Connections made before wait for it.
  void set_token(std::string token);

  Task<> serve_flow(std::unique_ptr<async::Stream> guest);
  Task<> serve_dns(std::unique_ptr<async::Stream> guest);

  // Another policy from here on. Connections that it does not allow are reset.
  void change(Policy policy);
  const Policy& policy() const { return policy_; }

  const Denials& denials() const { return denials_; }
  std::size_t flows() const { return active_.size(); }

 private:
  // A connection that goes to the host it was judged for.
  struct Active {
    Flow flow;
    std::string host;
    async::Stream& guest;
  };
  class Registration;
  class DnsConnection;

  Task<bool> has_token(std::string_view token);
  Task<> serve(async::Stream& guest, Flow flow);
  Task<> pass(async::Stream& guest, const Flow& flow, const std::string& host,
              const Opening& opening);
  Task<> refuse(async::Stream& guest, const Flow& flow, const Opening& opening,
                const FlowJudgement& judgement);
  Task<std::string> answer_query(const wire::DnsQuery& query);
  DnsHooks dns_hooks();

  boost::asio::any_io_executor executor_;
  Policy policy_;
  Denials denials_;
  Answers answers_;
  Resolver resolver_;
  DnsService dns_;
  std::string token_;
  async::Latch token_known_;
  std::list<Active> active_;
};

}  // namespace capsem::host::net
