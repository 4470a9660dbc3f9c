// The host's end of the guest's network: the connections of its sessions (port 5002) and their DNS
// queries (port 5007), each judged by the policy and written down.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "async/latch.h"
#include "async/offload.h"
#include "async/stream.h"
#include "async/task.h"
#include "audit/sink.h"
#include "base/error.h"
#include "host/net/answers.h"
#include "host/net/denials.h"
#include "host/net/dns_service.h"
#include "host/net/flow_judge.h"
#include "host/net/host_address.h"
#include "host/net/inspect.h"
#include "host/net/net_token.h"
#include "host/net/policy.h"
#include "host/net/questions.h"
#include "host/net/request_secrets.h"
#include "host/net/resolver.h"
#include "vsock/quota.h"

namespace capsem::host::net {

class GuestNetwork {
 public:
  // As many as the guest's proxy carries, and some that are on their way out.
  static constexpr vsock::Quota kFlowQuota{.connections = 2048, .receive_buffer_bytes = 64 << 20};
  // The proxy has one; others are refused once they have said something.
  static constexpr vsock::Quota kDnsQuota{.connections = 16, .receive_buffer_bytes = 1 << 20};
  // One of HTTP/2 may hold some 7 MiB, one of HTTP/1.1 half a MiB; further ones get the latter.
  static constexpr std::ptrdiff_t kMostHttp2 = 64;
  // For the first message of a connection.
  static constexpr std::chrono::seconds kFirstMessageLimit{5};

  struct Options {
    Policy policy;        // denies all, unless another one is given
    std::string name;     // of the VM, for its certificate authority
    std::string trusted;  // PEM: whom to believe in place of the host's certificate store
    ResolverOptions resolver;
    // Whether an address is one of the host's own.
    std::function<Result<bool>(const Address&)> is_host_address = net::is_host_address;
  };
  // `audit` has to outlive it.
  GuestNetwork(const boost::asio::any_io_executor& executor, Options options, audit::Sink& audit,
               Denials::Tell denied);
  GuestNetwork(const GuestNetwork&) = delete;
  GuestNetwork& operator=(const GuestNetwork&) = delete;

  // Makes what inspection needs, beside the event loop. Once.
  Task<> prepare();
  // The authority's certificate, for the guest's trust store, once it is made: PEM, or why there is
  // none.
  Task<Result<std::string>> certificate();

  NetToken& token() { return token_; }

  Task<> serve_flow(std::unique_ptr<async::Stream> guest);
  Task<> serve_dns(std::unique_ptr<async::Stream> guest);

  // Another policy from here on. Connections that it does not allow are reset.
  void change(Policy policy);
  const Policy& policy() const { return policy_; }

  // What somebody is asked about. An answer holds for as long as this network does, whatever policy
  // it gets, but for what a rule decides.
  Questions& questions() { return questions_; }
  // False when there is no such question any more.
  bool answer(std::uint64_t id, bool allowed);

  // The VM ends: connections that do so from here on were stopped with it.
  void stop() { stopping_ = true; }

  // What the guest's sessions are to have in their environment.
  std::map<std::string, std::string> variables() const { return secrets_.variables(); }

  const Denials& denials() const { return denials_; }
  std::size_t flows() const { return active_.size(); }

 private:
  // One that was allowed on an inspected connection.
  struct AllowedRequest {
    Question question;
    std::shared_ptr<RequestUnderWay> under_way;
  };
  // A connection under way.
  struct Active {
    std::uint64_t id;
    Flow flow;
    FlowJudgement judgement;
    async::Stream* guest;
    std::optional<audit::Ending> ending;  // once that is known
    std::string failure;                  // in words
    bool http2 = false;                   // it may become one
    // Those that have not ended, and the last one.
    std::vector<AllowedRequest> requests;
  };
  class UnderWay;

  Task<> serve(async::Stream& guest, Flow flow);
  // As its judgement says.
  Task<> go_on(async::Stream& guest, Active& active, Opening opening);
  Task<> pass_silent(async::Stream& guest, Active& active);
  Task<> pass(async::Stream& guest, Active& active, const Opening& opening);
  Task<> inspect(async::Stream& guest, Active& active, Opening opening);
  std::vector<std::string> protocols_for(Active& active, std::vector<std::string> offered) const;
  Task<> refuse(async::Stream& guest, Active& active, const Opening& opening);
  static void fail_with(Active& active, const Error& error);
  bool allows(const Flow& flow, const Question& request) const;
  bool keeps(Active& active) const;
  Task<bool> ask_flow(Flow flow, std::string host, Opening::Kind kind);
  Task<bool> ask_name(std::string name);
  void set_policy();
  Task<Judgement> judge_request(Active& active, bool secure, const PlainRequest& request);
  Judgement denial(const Question& question, Decision decision, const std::string& reason,
                   bool by_rule);
  DnsHooks dns_hooks();

  boost::asio::any_io_executor executor_;
  Policy given_;                // the policy without what was answered
  std::vector<Rule> answered_;  // as many as a person has allowed
  Policy policy_;
  std::string name_;
  std::string trusted_;
  std::function<Result<bool>(const Address&)> is_host_address_;
  audit::Sink& audit_;
  Denials denials_;
  RequestSecrets secrets_;
  Questions questions_;
  Answers answers_;
  Resolver resolver_;
  DnsService dns_;
  NetToken token_;
  Result<Inspector> inspector_;
  async::Latch prepared_;
  async::Offload preparing_;
  std::list<Active> active_;
  bool stopping_ = false;
};

}  // namespace capsem::host::net
