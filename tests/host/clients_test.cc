// The HTTP interface over a socket pair, with the client of capsem itself and with plain text.
#include "host/clients.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/socket.h>

#include "async/socket_stream.h"
#include "client/connection.h"
#include "tests/host/fake_machine.h"
#include "wire/codec.h"
#include "wire/ports.h"

namespace capsem::host {
namespace {

using api::State;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::StartsWith;

constexpr std::string_view kSessionRequest =
    "POST /v1/sessions HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\n"
    "Upgrade: capsem-session\r\n\r\n";

class ClientsTest : public ::testing::Test {
 protected:
  explicit ClientsTest(const MonitorOptions& options = {},
                       std::chrono::milliseconds request_limit = Clients::kRequestLimit) {
    auto made = std::make_unique<FakeMachine>(loop);
    machine = made.get();
    monitor.emplace(loop.executor(), std::move(made), options);
    clients.emplace(loop.executor(), *monitor, request_limit);
    loop.spawn(monitor->run());
    loop.context().poll();
  }
  ~ClientsTest() override {
    monitor->stop();
    loop.spawn(clients->end());
    loop.run();
  }

  // The client's end of a new connection.
  Fd connect() {
    auto pair = socket_pair();
    auto added = clients->add(std::move(pair->first));
    EXPECT_TRUE(added) << added.error().message();
    return std::move(pair->second);
  }
  client::Connection connection() {
    auto created = client::Connection::create(loop.executor(), connect());
    EXPECT_TRUE(created);
    return std::move(*created);
  }
  // Everything that is answered to `text`, after which the client sends no more.
  std::string ask(std::string text) {
    auto stream = *async::SocketStream::create(loop.executor(), connect());
    std::string answer;
    bool done = false;
    loop.spawn([](async::Stream& to, std::string request, std::string& into, bool& end) -> Task<> {
      auto sent = co_await to.write_all(as_bytes(request));
      static_cast<void>(sent);
      to.shutdown_write();
      std::array<std::byte, 4096> buffer{};
      for (;;) {
        auto size = co_await to.read_some(buffer);
        if (!size || *size == 0) break;
        into += as_text(std::span(buffer).first(*size));
      }
      end = true;
    }(*stream, std::move(text), answer, done));
    loop.run_until([&] { return done; });
    return answer;
  }
  void boot() {
    control = machine->connect_from_guest(wire::kControlPort.number);
    loop.spawn([](async::Stream& to) -> Task<> {
      auto frame = *wire::encode<wire::GuestControl>(wire::Hello{}) +
                   *wire::encode<wire::GuestControl>(wire::Heartbeat{});
      auto sent = co_await to.write_all(as_bytes(frame));
      EXPECT_TRUE(sent);
    }(*control));
    loop.run_until([&] { return monitor->vm().state == State::kRunning; });
  }

  async::Loop loop;
  FakeMachine* machine = nullptr;
  std::optional<Monitor> monitor;
  std::optional<Clients> clients;
  std::unique_ptr<async::Stream> control;
};

TEST_F(ClientsTest, TellsTheState) {
  auto answer = ask("GET /v1/vm HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, StartsWith("HTTP/1.1 200 OK\r\n"));
  EXPECT_THAT(answer, HasSubstr("\"state\":\"starting\""));
}

TEST_F(ClientsTest, AnswersSeveralRequestsOfOneConnection) {
  auto answer =
      ask("GET /v1/vm HTTP/1.1\r\nHost: x\r\n\r\nGET /v1/events HTTP/1.1\r\nHost: x\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("\"kind\":\"state\""));
}

TEST_F(ClientsTest, RefusesWhatItDoesNotKnowWithAReason) {
  EXPECT_THAT(ask("GET /v1/nothing HTTP/1.1\r\n\r\n"), HasSubstr("404"));
  EXPECT_THAT(ask("DELETE /v1/vm HTTP/1.1\r\n\r\n"), HasSubstr("405"));
  EXPECT_THAT(ask("POST /v1/sessions HTTP/1.1\r\n\r\n"), HasSubstr("426"));
  EXPECT_THAT(ask("POST /v1/ports HTTP/1.1\r\n\r\n"), HasSubstr("Upgrade: capsem-port"));
  EXPECT_THAT(ask("POST /v1/deploy HTTP/1.1\r\n\r\n"), HasSubstr("Upgrade: capsem-deploy"));
  EXPECT_THAT(ask("GET /v1/vm?wait=never HTTP/1.1\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(ask("GET /v1/events?since=-1 HTTP/1.1\r\n\r\n"), HasSubstr("'since'"));
  EXPECT_THAT(ask("nonsense\r\n\r\n"), HasSubstr("400"));
}

TEST_F(ClientsTest, EndsAConnectionWhoseHeadIsTooLong) {
  auto answer = ask("GET /v1/vm HTTP/1.1\r\nX: " + std::string(20'000, 'x') + "\r\n\r\n");
  EXPECT_THAT(answer, HasSubstr("400"));
}

TEST_F(ClientsTest, ABodyThatIsTooLargeOrNoneIsRefusedUnread) {
  const std::string stop = "POST /v1/stop HTTP/1.1\r\n";
  EXPECT_THAT(ask(stop + "Content-Length: 70000\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(ask(stop + "Content-Length: 18446744073709551616\r\n\r\n"), HasSubstr("400"));
  EXPECT_THAT(ask(stop + "Content-Length: -1\r\n\r\n"), HasSubstr("400"));
  const std::string chunked = stop + "Transfer-Encoding: chunked\r\n\r\n";
  EXPECT_THAT(ask(chunked + "zz\r\n"), HasSubstr("400"));
  EXPECT_THAT(ask(chunked + "fffffffffffffffff\r\n"), HasSubstr("400"));
  EXPECT_THAT(ask(chunked + "11170\r\n" + std::string(0x11170, 'x') + "\r\n0\r\n\r\n"),
              HasSubstr("400"));
  EXPECT_EQ(monitor->vm().state, State::kStarting);
}

TEST_F(ClientsTest, ARequestThatIsCutOffIsDoneNothingFor) {
  const std::string kill = "POST /v1/kill HTTP/1.1\r\nHost: x\r\nContent-Length: 2\r\n\r\n{}";
  for (std::size_t size = 0; size < kill.size(); ++size) ask(kill.substr(0, size));
  EXPECT_EQ(monitor->vm().state, State::kStarting);
  EXPECT_THAT(ask(kill), HasSubstr("200 OK"));
}

class HurriedClients : public ClientsTest {
 protected:
  HurriedClients() : ClientsTest({}, std::chrono::milliseconds(200)) {}
};

TEST_F(HurriedClients, ARequestThatDoesNotComeToItsEndInTimeIsHungUpOn) {
  auto slow = connect();
  const std::string head = "GET /v1/vm HTTP/1.1\r\nX: ";
  ASSERT_TRUE(write_full(slow, as_bytes(head), "the request"));
  const auto begin = std::chrono::steady_clock::now();
  std::array<std::byte, 64> answer{};
  ssize_t size = -1;
  // Each byte that comes is no reason to wait longer.
  while (size < 0 && std::chrono::steady_clock::now() - begin < std::chrono::seconds(5)) {
    ::send(slow.get(), "x", 1, MSG_DONTWAIT | MSG_NOSIGNAL);
    loop.context().run_for(std::chrono::milliseconds(20));
    size = ::recv(slow.get(), answer.data(), answer.size(), MSG_DONTWAIT);
  }
  EXPECT_EQ(size, 0) << "it is closed, without an answer";
}

TEST_F(ClientsTest, WaitsForAState) {
  auto client = connection();
  std::optional<Result<api::Vm>> vm;
  loop.spawn([](client::Connection& to, std::optional<Result<api::Vm>>& into) -> Task<> {
    into = co_await to.vm(State::kEnded);
  }(client, vm));
  loop.context().run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(vm);
  machine->observer().on_console_line("[ 0.9] Kernel panic - not syncing: no init");
  loop.run_until([&] { return vm.has_value(); });
  ASSERT_TRUE(*vm) << vm->error().message();
  EXPECT_EQ((*vm)->end->kind, api::EndKind::kFailed);
  EXPECT_THAT((*vm)->end->error->message(), HasSubstr("no init"));
}

TEST_F(ClientsTest, FollowsEventsToTheEnd) {
  auto client = connection();
  std::vector<std::string> texts;
  std::optional<Result<>> done;
  loop.spawn([](client::Connection& to, auto& into, auto& end) -> Task<> {
    end = co_await to.follow_events([&](const api::Event& event) { into.push_back(event.text); });
  }(client, texts, done));
  boot();
  loop.run_until([&] { return texts.size() >= 2; });
  monitor->stop();
  loop.run_until([&] { return done.has_value(); });
  EXPECT_TRUE(*done);
  EXPECT_THAT(texts, ::testing::ElementsAre("starting", "running", "stopping", "ended"));
}

TEST_F(ClientsTest, WhoFollowsQuestionsIsAskedAndAnswers) {
  auto& network = monitor->network();
  auto ask = [](net::GuestNetwork& of, std::optional<bool>& into) -> Task<> {
    into = co_await of.questions().ask_name("good.example");
  };
  std::optional<bool> before;
  loop.spawn(ask(network, before));
  loop.run_until([&] { return before.has_value(); });
  EXPECT_EQ(*before, false) << "though nobody listens";

  auto client = std::make_unique<client::Connection>(connection());
  std::vector<api::Question> questions;
  bool over = false;
  loop.spawn([](client::Connection& to, auto& into, bool& end) -> Task<> {
    [[maybe_unused]] auto followed = co_await to.follow_questions(
        [&into](const api::Question& question) { into.push_back(question); });
    end = true;
  }(*client, questions, over));
  loop.context().run_for(std::chrono::milliseconds(50));
  std::optional<bool> allowed;
  loop.spawn(ask(network, allowed));
  loop.run_until([&] { return !questions.empty(); });
  EXPECT_EQ(questions[0].what, "the name good.example");
  EXPECT_THAT(questions[0].rule, HasSubstr("host = \"good.example\""));
  auto other = connection();
  std::optional<Result<api::Vm>> answered;
  auto answer = [](client::Connection& to, auto& into, api::Answer given) -> Task<> {
    into = co_await to.answer(given);
  };
  loop.spawn(answer(other, answered, {.id = questions[0].id + 1, .allowed = true}));
  loop.run_until([&] { return answered.has_value(); });
  EXPECT_FALSE(*answered);
  EXPECT_FALSE(allowed);
  answered.reset();
  loop.spawn(answer(other, answered, {.id = questions[0].id, .allowed = true}));
  loop.run_until([&] { return answered.has_value() && questions.size() == 2; });
  EXPECT_TRUE(*answered);
  EXPECT_EQ(allowed, true);
  EXPECT_EQ(questions[1].id, 0U);
  EXPECT_EQ(network.policy().name("good.example").verdict, net::Verdict::kPass);
  monitor->stop();
  loop.run_until([&] { return over; });
}

TEST_F(ClientsTest, WhatIsAskedIsDeniedWhenItsClientLeaves) {
  auto client = connect();
  const std::string request = "GET /v1/questions HTTP/1.1\r\nHost: capsem\r\n\r\n";
  ASSERT_TRUE(write_full(client, as_bytes(request), "the monitor"));
  loop.context().run_for(std::chrono::milliseconds(50));
  std::optional<bool> allowed;
  loop.spawn([](net::GuestNetwork& of, std::optional<bool>& into) -> Task<> {
    into = co_await of.questions().ask_name("good.example");
  }(monitor->network(), allowed));
  loop.context().run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(allowed);
  client.reset();
  loop.run_until([&] { return allowed.has_value(); }, std::chrono::seconds(5));
  EXPECT_EQ(allowed, false);
}

TEST_F(ClientsTest, JoinsASessionWithTheGuestUnparsed) {
  boot();
  auto client = connection();
  std::unique_ptr<async::Stream> session;
  loop.spawn([](client::Connection& to, auto& into) -> Task<> {
    std::optional<client::Refusal> refusal;
    auto opened = co_await to.open_session(refusal);
    EXPECT_TRUE(opened);
    if (opened) into = std::move(*opened);
  }(client, session));
  loop.run_until([&] { return session != nullptr; });
  std::string received;
  loop.spawn([](async::Stream& from, async::Stream& to, std::string& into) -> Task<> {
    const std::string nothing_of_the_protocol("\0\xff bytes", 8);
    auto sent = co_await from.write_all(as_bytes(nothing_of_the_protocol));
    EXPECT_TRUE(sent);
    std::array<std::byte, 64> buffer{};
    auto size = co_await to.read_some(buffer);
    if (size) into = as_text(std::span(buffer).first(*size));
  }(*session, *machine->sessions.front(), received));
  loop.run_until([&] { return !received.empty(); });
  EXPECT_EQ(received, std::string("\0\xff bytes", 8));
}

TEST_F(ClientsTest, ASessionThatCannotBeLearnsWhy) {
  auto client = connection();
  std::optional<client::Refusal> refusal;
  bool done = false;
  loop.spawn([](client::Connection& to, auto& into, bool& end) -> Task<> {
    auto opened = co_await to.open_session(into);
    EXPECT_FALSE(opened);
    end = true;
  }(client, refusal, done));
  machine->observer().on_console_line("[ 0.9] Kernel panic - not syncing: no init");
  loop.run_until([&] { return done; });
  ASSERT_TRUE(refusal);
  EXPECT_THAT(refusal->error.message(), HasSubstr("no init"));
}

TEST_F(ClientsTest, ASessionWhoseClientLeavesBeforeTheBootIsNotOpened) {
  std::vector<Fd> waiting;
  for (std::size_t i = 0; i < Clients::kMaxConnections; ++i) {
    waiting.push_back(connect());
    ASSERT_TRUE(write_full(waiting.back(), as_bytes(kSessionRequest), "the monitor"));
  }
  loop.poll();
  EXPECT_FALSE(clients->add(std::move(socket_pair()->first)));
  waiting.clear();
  loop.poll();
  // Their places are free again, and the guest never hears of them.
  EXPECT_TRUE(clients->add(std::move(socket_pair()->first)));
  boot();
  loop.context().run_for(std::chrono::milliseconds(50));
  EXPECT_TRUE(machine->sessions.empty());
}

TEST_F(ClientsTest, ASessionsClientMustNotSendBeforeTheAnswer) {
  Fd client = connect();
  ASSERT_TRUE(write_full(client, as_bytes(kSessionRequest), "the monitor"));
  loop.poll();
  ASSERT_TRUE(write_full(client, as_bytes("too early"), "the monitor"));
  ::shutdown(client.get(), SHUT_WR);
  loop.context().run_for(std::chrono::milliseconds(50));
  std::array<std::byte, 4096> answer{};
  auto size = read_full(client, answer, "the monitor");
  ASSERT_TRUE(size) << size.error().message();
  EXPECT_THAT(std::string(as_text(std::span(answer).first(*size))),
              AllOf(StartsWith("HTTP/1.1 400"), HasSubstr("before the answer")));
}

class SilentAgent : public ClientsTest {
 protected:
  SilentAgent() : ClientsTest({.connect_limit = std::chrono::milliseconds(50)}) {
    machine->agent_answers = false;
  }
};

TEST_F(SilentAgent, EndsTheRequestForASessionInTime) {
  boot();
  const auto begin = std::chrono::steady_clock::now();
  auto client = connection();
  std::optional<client::Refusal> refusal;
  bool done = false;
  loop.spawn([](client::Connection& to, auto& into, bool& end) -> Task<> {
    auto opened = co_await to.open_session(into);
    EXPECT_FALSE(opened);
    end = true;
  }(client, refusal, done));
  loop.run_until([&] { return done; }, std::chrono::seconds(10));
  EXPECT_GE(std::chrono::steady_clock::now() - begin, std::chrono::milliseconds(50));
  ASSERT_TRUE(refusal);
  EXPECT_EQ(refusal->error.kind(), ErrorKind::kTimeout);
  EXPECT_THAT(refusal->error.message(), HasSubstr("its agent does not answer"));
  EXPECT_EQ(monitor->vm().state, State::kRunning);
}

TEST_F(ClientsTest, KillEndsTheVmAtOnce) {
  boot();
  auto client = connection();
  auto vm = loop.get(client.kill());
  ASSERT_TRUE(vm) << vm.error().message();
  EXPECT_EQ(vm->end->kind, api::EndKind::kStopped);
  EXPECT_TRUE(machine->end_was_asked);
}

TEST_F(ClientsTest, StopIsAnsweredWhenTheGuestHasEnded) {
  boot();
  auto client = connection();
  std::optional<Result<api::Vm>> vm;
  loop.spawn([](client::Connection& to, auto& into) -> Task<> {
    into = co_await to.stop(std::chrono::seconds(1000));
  }(client, vm));
  loop.run_until([&] { return monitor->vm().state == State::kStopping; });
  loop.context().run_for(std::chrono::milliseconds(50));
  EXPECT_FALSE(vm);
  EXPECT_FALSE(machine->end_was_asked);
  machine->observer().on_shutdown("guest-shutdown");
  machine->exit();
  loop.run_until([&] { return vm.has_value(); });
  ASSERT_TRUE(*vm) << vm->error().message();
  EXPECT_EQ((*vm)->end->kind, api::EndKind::kStopped);
}

TEST_F(ClientsTest, AStopGoesOnWithoutTheClientThatAskedForIt) {
  boot();
  {
    auto stream = *async::SocketStream::create(loop.executor(), connect());
    loop.spawn([](async::Stream& to) -> Task<> {
      const std::string request =
          "POST /v1/stop HTTP/1.1\r\nContent-Length: 14\r\n\r\n{\"grace_ms\":9}";
      auto sent = co_await to.write_all(as_bytes(request));
      EXPECT_TRUE(sent);
    }(*stream));
    loop.run_until([&] { return monitor->vm().state == State::kStopping; });
  }
  loop.context().run_for(std::chrono::milliseconds(50));
  EXPECT_EQ(monitor->vm().state, State::kStopping);
  machine->exit();
  loop.run_until([&] { return monitor->vm().state == State::kEnded; });
}

TEST_F(ClientsTest, AStopThatCannotBeReadEndsNothing) {
  boot();
  for (std::string body : {R"({"grace_ms":-1})", R"({"grace_ms":3600001})", "{", "7"})
    EXPECT_THAT(ask("POST /v1/stop HTTP/1.1\r\nContent-Length: " + std::to_string(body.size()) +
                    "\r\n\r\n" + body),
                HasSubstr("400"))
        << body;
  EXPECT_EQ(monitor->vm().state, State::kRunning);
}

TEST_F(ClientsTest, AVmsEndIsAwaitedOnceItIsInSight) {
  boot();
  auto early = connection();
  auto running = loop.get(early.vm_at_end(std::chrono::milliseconds(50)));
  ASSERT_FALSE(running);
  EXPECT_EQ(running.error().kind(), ErrorKind::kTimeout);
  monitor->shut_down(std::chrono::seconds(1000));
  auto client = connection();
  std::optional<Result<api::Vm>> vm;
  loop.spawn([](client::Connection& to, auto& into) -> Task<> {
    into = co_await to.vm_at_end(std::chrono::milliseconds(50));
  }(client, vm));
  loop.context().run_for(std::chrono::milliseconds(200));
  EXPECT_FALSE(vm);
  machine->exit();
  loop.run_until([&] { return vm.has_value(); });
  ASSERT_TRUE(*vm) << vm->error().message();
  EXPECT_EQ((*vm)->state, State::kEnded);
}

TEST_F(ClientsTest, TakesNoMoreThanItsLimit) {
  std::vector<Fd> held;
  for (std::size_t i = 0; i < Clients::kMaxConnections; ++i) held.push_back(connect());
  loop.context().poll();
  auto pair = socket_pair();
  EXPECT_FALSE(clients->add(std::move(pair->first)));
}

TEST_F(ClientsTest, TakesUnixSocketsOnly) {
  int tcp = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_GE(tcp, 0);
  auto added = clients->add(Fd(tcp));
  ASSERT_FALSE(added);
  EXPECT_EQ(added.error().kind(), ErrorKind::kInvalid);
}

}  // namespace
}  // namespace capsem::host
