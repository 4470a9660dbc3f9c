// A client and a server that a test plays, and the proxy between them.
#pragma once

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "host/net/http1_proxy.h"
#include "tests/async/loop.h"
#include "tests/host/net/loopback.h"

namespace capsem::host::net::testing {

// "no" in the path or the host is denied; "slow" takes its time, in which `judging` is true.
inline Judge judge_by_word(bool* judging = nullptr) {
  return [judging](const PlainRequest& request) -> Task<Judgement> {
    const auto& host = request.authority.host;
    const auto& path = request.target.judged;
    if (judging != nullptr && path.contains("/slow")) {
      *judging = true;
      co_await pause(std::chrono::milliseconds(100));
    }
    if (host.contains("no") || path.contains("/no"))
      co_return Judgement{{Verdict::kDeny, "no-rule"}, "denied by no-rule; allow it"};
    co_return Judgement{{Verdict::kPass, "yes-rule"}, ""};
  };
}

class ProxyScene {
 public:
  explicit ProxyScene(const HttpLimits& limits = {}, RequestPlace place = {}, Judge judge = {}) {
    std::tie(client, guest_) = connected(loop.executor());
    std::tie(server, upstream_) = connected(loop.executor());
    HttpProxyOptions options{.place = std::move(place),
                             .judge = judge ? std::move(judge) : judge_by_word(&judging),
                             .limits = limits};
    options.record = [this](const RequestRecord& record) { records.push_back(record); };
    options.connect = [this](std::string host) -> Task<Result<std::unique_ptr<async::Stream>>> {
      connected_to.push_back(host);
      if (!upstream_) co_return fail("connect to", host, "it is not there");
      co_return std::move(upstream_);
    };
    loop.spawn(serve(std::move(options)));
  }

  // When both sides are gone, all ends.
  ~ProxyScene() {
    if (client) client->reset();
    if (server) server->reset();
    loop.run_until([this] { return ended; });
    loop.run();
  }
  ProxyScene(const ProxyScene&) = delete;
  ProxyScene& operator=(const ProxyScene&) = delete;

  void no_server() { upstream_.reset(); }

  // What the client hears to the end when it says `text` and no more.
  std::string ask(const std::string& text) {
    auto talk = [](ProxyScene& self, std::string said) -> Task<std::string> {
      auto written = co_await self.client->write_all(as_bytes(said));
      static_cast<void>(written);  // a proxy that refuses does not read it all
      self.client->shutdown_write();
      co_return co_await read_to_end(*self.client);
    };
    return loop.get(talk(*this, text));
  }

  // Answers each head that comes with the next of `answers`, and keeps what came.
  void answer(std::vector<std::string> answers) { loop.spawn(play(std::move(answers))); }

  async::Loop loop;
  std::unique_ptr<async::Stream> client;
  std::unique_ptr<async::Stream> server;
  std::string asked;  // what the server got
  std::vector<std::string> connected_to;
  std::vector<RequestRecord> records;
  bool judging = false;
  bool ended = false;

 private:
  Task<> serve(HttpProxyOptions options) {
    co_await proxy_http1(*guest_, {}, std::move(options));
    ended = true;
    guest_.reset();
  }

  Task<> play(std::vector<std::string> answers) {
    for (const auto& each : answers) {
      auto head = co_await read_until(*server, "\r\n\r\n");
      asked += head;
      if (head.empty()) co_return;
      if (!co_await write(*server, each)) co_return;
    }
    asked += co_await read_to_end(*server);
  }

  std::unique_ptr<async::Stream> guest_;
  std::unique_ptr<async::Stream> upstream_;
};

inline const std::string kAsk = "GET / HTTP/1.1\r\nHost: a.example\r\n\r\n";
inline const std::string kOk = "HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok";

}  // namespace capsem::host::net::testing
