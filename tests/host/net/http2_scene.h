// A client and a server of HTTP/2 that a test plays, and the proxy between them.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "host/net/http2_proxy.h"
#include "tests/async/loop.h"
#include "tests/host/net/http2_peer.h"
#include "tests/host/net/loopback.h"
#include "tests/host/net/proxy_scene.h"

namespace capsem::host::net::testing {

class Http2Scene {
 public:
  struct Options {
    HttpLimits limits;
    Http2Limits http2;
    bool server = true;       // false: it cannot be reached
    bool raw_client = false;  // the test writes the client's frames itself
    bool raw_server = false;
    Judge judge = {};  // judge_by_word(), unless there is another one
    Http2Peer::Options client_peer;
    Http2Peer::Options server_peer;
  };

  Http2Scene() : Http2Scene(Options()) {}
  explicit Http2Scene(Options options) {
    std::tie(client_stream, guest_) = connected(loop.executor());
    std::tie(server_stream, upstream_) = connected(loop.executor());
    if (!options.server) upstream_.reset();
    HttpProxyOptions proxied{.place = {.secure = true, .host = "a.example", .port = 443},
                             .judge = options.judge ? options.judge : judge(),
                             .limits = options.limits};
    proxied.record = [this](const RequestRecord& record) { records.push_back(record); };
    proxied.connect = [this](std::string host) -> Task<Result<std::unique_ptr<async::Stream>>> {
      if (!upstream_) co_return fail("connect to", host, "it is not there");
      co_return std::move(upstream_);
    };
    loop.spawn(serve(std::move(proxied), options.http2));
    if (!options.raw_client) client.emplace(loop.executor(), *client_stream, options.client_peer);
    options.server_peer.server = true;
    if (!options.raw_server) {
      server.emplace(loop.executor(), *server_stream, options.server_peer);
      server->on_request = [this](std::int32_t stream) {
        if (answers) server->answer(stream, {{":status", "200"}}, "ok");
      };
    }
  }

  // When both sides are gone, all ends.
  ~Http2Scene() {
    if (client_stream) client_stream->reset();
    if (server_stream) server_stream->reset();
    loop.run_until([this] { return ended; });
    if (client) loop.spawn(client->stop());
    if (server) loop.spawn(server->stop());
    loop.run();
  }
  Http2Scene(const Http2Scene&) = delete;
  Http2Scene& operator=(const Http2Scene&) = delete;

  template <class Condition>
  void until(Condition done) {
    loop.run_until(done, std::chrono::seconds(10));
  }
  // Lets all go on that can.
  void settle(std::chrono::milliseconds time = std::chrono::milliseconds(50)) {
    const auto end = std::chrono::steady_clock::now() + time;
    while (std::chrono::steady_clock::now() < end) {
      loop.context().restart();
      loop.context().run_one_for(std::chrono::milliseconds(5));
    }
  }

  static Fields get(const std::string& path, Fields more = {}) {
    return of("GET", path, std::move(more));
  }
  static Fields of(const std::string& method, const std::string& path, Fields more = {}) {
    Fields fields{
        {":method", method}, {":scheme", "https"}, {":authority", "a.example"}, {":path", path}};
    fields.insert(fields.end(), more.begin(), more.end());
    return fields;
  }

  // The answer to a request that has no body.
  Http2Peer::Message& ask(const Fields& fields) {
    const auto stream = client->request(fields);
    until([&] { return client->streams[stream].closed || ended; });
    return client->streams[stream];
  }

  async::Loop loop;
  std::unique_ptr<async::Stream> client_stream;
  std::unique_ptr<async::Stream> server_stream;
  std::optional<Http2Peer> client;
  std::optional<Http2Peer> server;
  bool answers = true;  // the server says 200 to all
  std::vector<RequestRecord> records;
  std::vector<std::shared_ptr<RequestUnderWay>> under_way;
  bool judging = false;
  bool ended = false;

 private:
  Judge judge() {
    return
        [this, by_word = judge_by_word(&judging)](const PlainRequest& request) -> Task<Judgement> {
          auto judgement = co_await by_word(request);
          if (judgement.decision.verdict == Verdict::kDeny) co_return judgement;
          under_way.push_back(std::make_shared<RequestUnderWay>());
          judgement.under_way = under_way.back();
          co_return judgement;
        };
  }

  Task<> serve(HttpProxyOptions options, Http2Limits limits) {
    co_await proxy_http2(*guest_, std::move(options), limits);
    ended = true;
    guest_.reset();
  }

  std::unique_ptr<async::Stream> guest_;
  std::unique_ptr<async::Stream> upstream_;
};

}  // namespace capsem::host::net::testing
