// The resolver against a name server on loopback.
#include "host/net/resolver.h"

#include <dirent.h>
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/bind_cancellation_slot.hpp>
#include <boost/asio/cancellation_signal.hpp>
#include <filesystem>
#include <fstream>
#include <random>

#include "tests/async/loop.h"
#include "tests/host/net/name_server.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
using std::chrono::milliseconds;
using std::chrono::seconds;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using Outcome = Lookup::Outcome;

std::vector<std::string> texts(const std::vector<Address>& addresses) {
  std::vector<std::string> all;
  all.reserve(addresses.size());
  for (const auto& address : addresses) all.push_back(address.to_string());
  return all;
}

std::vector<int> open_sockets() {
  std::vector<int> open;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    const auto target = std::filesystem::read_symlink(entry, gone).string();
    if (target.starts_with("socket:")) open.push_back(std::stoi(entry.path().filename()));
  }
  return open;
}

class ResolverTest : public ::testing::Test {
 protected:
  // `change` what the resolver is made with.
  void make(const std::function<void(ResolverOptions&)>& change = {}) {
    ResolverOptions options;
    options.lookup.servers = server.address();
    options.lookup.limit = seconds(5);
    options.lookup.server_limit = milliseconds(200);
    if (change) change(options);
    resolver.emplace(loop.executor(), options);
  }

  Lookup find(const std::string& name, Family family = Family::kIpv4) {
    if (!resolver) make();
    return loop.get(resolver->find(name, family))->lookup;
  }

  // Starts to find `name`; the result comes into `into`.
  void start(const std::string& name, Resolver::FoundPointer& into,
             asio::cancellation_slot slot = {}) {
    asio::co_spawn(loop.context(), resolver->find(name, Family::kIpv4),
                   asio::bind_cancellation_slot(
                       slot, [&into](const std::exception_ptr&, Resolver::FoundPointer found) {
                         into = std::move(found);
                       }));
  }

  NameServer server;
  async::Loop loop;
  std::optional<Resolver> resolver;
};

TEST_F(ResolverTest, FindsAddressesOfEitherFamily) {
  server.add("www.example.org", {"192.0.2.1", "192.0.2.2"}, 120);
  server.add("www.example.org", {"2001:db8::1"}, 60);
  auto v4 = find("www.example.org");
  EXPECT_EQ(v4.outcome, Outcome::kFound) << v4.reason;
  EXPECT_THAT(texts(v4.addresses), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(v4.ttl, seconds(120));
  EXPECT_THAT(v4.aliases, IsEmpty());
  auto v6 = find("www.example.org", Family::kIpv6);
  EXPECT_THAT(texts(v6.addresses), ElementsAre("2001:db8::1"));
  EXPECT_EQ(v6.ttl, seconds(60));
  EXPECT_EQ(server.asked(), 2) << "only for the family that was wanted";
}

TEST_F(ResolverTest, FollowsTheChainOfNames) {
  server.add("www.example.org", {"192.0.2.1"}, 300, {"CDN.example.net", "edge.example.com"});
  auto lookup = find("www.example.org");
  EXPECT_EQ(lookup.outcome, Outcome::kFound) << lookup.reason;
  EXPECT_THAT(lookup.aliases, ElementsAre("cdn.example.net", "edge.example.com"));
  EXPECT_THAT(texts(lookup.addresses), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, TellsNoNameFromNoAddress) {
  server.add("v4.example.org", {"192.0.2.1"});
  EXPECT_EQ(find("none.example.org").outcome, Outcome::kNoName);
  EXPECT_EQ(find("v4.example.org", Family::kIpv6).outcome, Outcome::kNoAddress);
  EXPECT_THAT(server.names(), ElementsAre("none.example.org", "v4.example.org")) << "each once";
}

TEST_F(ResolverTest, AsksOverTcpWhenTheAnswerIsTruncated) {
  std::vector<std::string> addresses;
  for (int i = 1; i <= 100; ++i) addresses.push_back("192.0.2." + std::to_string(i));
  server.add("large.example.org", addresses);
  EXPECT_EQ(find("large.example.org").addresses.size(), 100U);
  EXPECT_EQ(server.asked_over_tcp(), 1);
}

TEST_F(ResolverTest, AsksTheNextServerWhenOneIsSilent) {
  NameServer silent;
  silent.add("www.example.org", RecordType::kA, {.silent = true});
  server.add("www.example.org", {"192.0.2.1"});
  make([&](ResolverOptions& options) {
    options.lookup.servers = silent.address() + "," + server.address();
  });
  EXPECT_THAT(texts(find("www.example.org").addresses), ElementsAre("192.0.2.1"));
  EXPECT_EQ(silent.asked(), 1);
}

TEST_F(ResolverTest, GivesUpAtItsLimit) {
  server.add("www.example.org", RecordType::kA, {.silent = true});
  make([](ResolverOptions& options) { options.lookup.limit = milliseconds(150); });
  const auto begin = std::chrono::steady_clock::now();
  auto lookup = find("www.example.org");
  EXPECT_EQ(lookup.outcome, Outcome::kFailed);
  EXPECT_EQ(lookup.reason, "no name server answered in time");
  EXPECT_LT(std::chrono::steady_clock::now() - begin, seconds(2));
  EXPECT_FALSE(resolver->cached("www.example.org", Family::kIpv4));
}

TEST_F(ResolverTest, AnswersOfNoUseAreAFailure) {
  server.add("short.example.org", RecordType::kA, {.raw = Message(5)});
  server.add("refused.example.org", RecordType::kA, {.answer = {.code = ResponseCode::kRefused}});
  server.add("broken.example.org", RecordType::kA,
             {.answer = {.code = ResponseCode::kServerFailure}});
  make([](ResolverOptions& options) {
    options.lookup.server_limit = milliseconds(50);
    options.lookup.rounds = 2;
  });
  for (const auto* name : {"short.example.org", "refused.example.org", "broken.example.org"}) {
    auto lookup = find(name);
    EXPECT_EQ(lookup.outcome, Outcome::kFailed) << name;
    EXPECT_NE(lookup.reason, "") << name;
  }
}

TEST_F(ResolverTest, AChainThatIsNoneIsNotTold) {
  server.add("odd.example.org", {"192.0.2.1"}, 300, {"we ird.example.net"});
  EXPECT_THAT(find("odd.example.org").aliases, IsEmpty());
  server.add("number.example.org", {"192.0.2.1"}, 300, {"127.0.0.1"});
  auto number = find("number.example.org");
  EXPECT_THAT(number.aliases, IsEmpty());
  EXPECT_THAT(texts(number.addresses), ElementsAre("192.0.2.1"));
  server.add("circle.example.org", {"192.0.2.1"}, 300, {"b.example.org", "circle.example.org"});
  EXPECT_THAT(find("circle.example.org").aliases, IsEmpty());
}

TEST_F(ResolverTest, KeepsTimesWithinBounds) {
  server.add("zero.example.org", {"192.0.2.1"}, 0);
  server.add("week.example.org", {"192.0.2.1"}, 604800);
  server.add("odd.example.org", {"192.0.2.1"}, 0xFFFFFFFF);
  EXPECT_EQ(find("zero.example.org").ttl, kMinTtl);
  EXPECT_EQ(find("week.example.org").ttl, kMaxTtl);
  const auto ttl = find("odd.example.org").ttl;
  EXPECT_TRUE(ttl >= kMinTtl && ttl <= kMaxTtl) << ttl.count();
}

TEST_F(ResolverTest, AsksOnceForWhatItKnows) {
  server.add("www.example.org", {"192.0.2.1"});
  find("www.example.org");
  find("www.example.org");
  find("none.example.org");
  find("none.example.org");
  EXPECT_EQ(server.asked(), 2);
  ASSERT_TRUE(resolver->cached("www.example.org", Family::kIpv4));
  EXPECT_FALSE(resolver->cached("www.example.org", Family::kIpv6));
}

TEST_F(ResolverTest, AsksAgainWhenTheTimeIsOver) {
  server.add("www.example.org", {"192.0.2.1"}, 1);
  find("www.example.org");
  std::this_thread::sleep_for(milliseconds(1050));
  EXPECT_FALSE(resolver->cached("www.example.org", Family::kIpv4));
  find("www.example.org");
  EXPECT_EQ(server.asked(), 2);
}

TEST_F(ResolverTest, TheCacheForgetsTheOldest) {
  make([](ResolverOptions& options) { options.max_cached = 2; });
  for (const auto* name : {"a.example", "b.example", "c.example"}) {
    server.add(name, {"192.0.2.1"});
    find(name);
  }
  EXPECT_FALSE(resolver->cached("a.example", Family::kIpv4));
  EXPECT_TRUE(resolver->cached("b.example", Family::kIpv4));
  EXPECT_TRUE(resolver->cached("c.example", Family::kIpv4));
}

TEST_F(ResolverTest, WhoAsksTheSameSharesALookup) {
  server.add("www.example.org", {"192.0.2.1"});
  make();
  std::array<Resolver::FoundPointer, 3> found;
  for (auto& one : found) start("www.example.org", one);
  loop.run_until([&] { return found[0] && found[1] && found[2]; });
  EXPECT_EQ(server.asked(), 1);
  EXPECT_EQ(found[0], found[2]);
}

TEST_F(ResolverTest, AWaitThatIsCancelledLeavesTheOthers) {
  server.add("www.example.org", RecordType::kA,
             {.answer = {.addresses = {asio::ip::make_address("192.0.2.1")}, .ttl_seconds = 9},
              .delay = milliseconds(100)});
  make();
  Resolver::FoundPointer first;
  Resolver::FoundPointer second;
  asio::cancellation_signal signal;
  start("www.example.org", first, signal.slot());
  start("www.example.org", second);
  loop.poll();
  signal.emit(asio::cancellation_type::terminal);
  loop.run_until([&] { return second != nullptr; });
  EXPECT_EQ(second->lookup.outcome, Outcome::kFound);
  EXPECT_TRUE(!first || first->lookup.outcome == Outcome::kFailed);
  EXPECT_EQ(server.asked(), 1);
}

TEST_F(ResolverTest, ItsEndEndsWhatRuns) {
  server.add("www.example.org", RecordType::kA, {.silent = true});
  make();
  const auto before = open_sockets();
  Resolver::FoundPointer found;
  start("www.example.org", found);
  loop.run_until([&] { return server.asked() == 1; });
  const auto during = open_sockets();
  EXPECT_GT(during.size(), before.size());
  for (int fd : during) EXPECT_NE(::fcntl(fd, F_GETFD) & FD_CLOEXEC, 0) << fd;
  resolver.reset();
  loop.run_until([&] { return found != nullptr; });
  EXPECT_EQ(found->lookup.outcome, Outcome::kFailed);
  loop.run_until([&] { return open_sockets() == before; });
}

TEST_F(ResolverTest, NeedsNoTurnOfTheLoopToEnd) {
  server.add("www.example.org", RecordType::kA, {.silent = true});
  const auto before = open_sockets();
  Resolver::FoundPointer found;
  {
    asio::io_context own{1};
    ResolverOptions options;
    options.lookup.servers = server.address();
    Resolver short_lived(own.get_executor(), options);
    asio::co_spawn(
        own, short_lived.find("www.example.org", Family::kIpv4),
        [&](const std::exception_ptr&, Resolver::FoundPointer one) { found = std::move(one); });
    own.poll();
    EXPECT_GT(open_sockets().size(), before.size());
  }
  EXPECT_FALSE(found);
  EXPECT_EQ(open_sockets(), before);
}

// Each is a good answer with some bytes of it changed.
TEST_F(ResolverTest, AnswersOfAStrangerDoNoHarm) {
  constexpr std::size_t kNames = 600;
  constexpr std::size_t kAtOnce = 60;
  std::mt19937 random(1);  // NOLINT(cert-msc32-c,cert-msc51-cpp): the same each time
  auto name_of = [](std::size_t i) { return "n" + std::to_string(i) + ".example.org"; };
  for (std::size_t i = 0; i < kNames; ++i) {
    const auto query = read_query(question(name_of(i), RecordType::kA));
    DnsAnswer answer{.aliases = {"a.example.net", "b.example.net"}, .ttl_seconds = 60};
    answer.addresses.assign(3, asio::ip::make_address("192.0.2.1"));
    auto raw = write_answer(*query, answer, Transport::kUdp);
    for (auto changes = random() % 4; changes > 0; --changes) {
      const std::size_t head = random() % 3 == 0 ? 2 : 12 + query->question.size();
      raw[head + random() % (raw.size() - head)] = static_cast<std::byte>(random() & 0xFF);
    }
    if (random() % 4 == 0) raw.resize(random() % raw.size());
    server.add(name_of(i), RecordType::kA, {.raw = raw});
  }
  make([](ResolverOptions& options) {
    options.lookup.server_limit = milliseconds(50);
    options.lookup.rounds = 1;
  });
  std::size_t good = 0;
  for (std::size_t first = 0; first < kNames; first += kAtOnce) {
    std::array<Resolver::FoundPointer, kAtOnce> found;
    for (std::size_t i = 0; i < kAtOnce; ++i) start(name_of(first + i), found[i]);
    loop.run_until([&] { return std::ranges::count(found, nullptr) == 0; });
    for (const auto& one : found) {
      if (one->lookup.outcome == Outcome::kFound) ++good;
      EXPECT_LE(one->lookup.addresses.size(), 4U);
      EXPECT_LE(one->lookup.ttl, kMaxTtl);
    }
  }
  EXPECT_GT(good, kNames / 10) << "those that were not changed, for one";
}

TEST_F(ResolverTest, LeavesNoDescriptorBehind) {
  server.add("www.example.org", {"192.0.2.1"});
  server.add("tcp.example.org", RecordType::kA, {.over_tcp_alone = true});
  make([](ResolverOptions& options) { options.max_cached = 0; });
  const auto before = open_sockets();
  for (int i = 0; i < 50; ++i) {
    find("www.example.org");
    find("tcp.example.org");
    find("none.example.org");
  }
  EXPECT_GE(server.asked(), 200);
  EXPECT_EQ(open_sockets(), before);
}

TEST_F(ResolverTest, LookupsAtOnceAreBounded) {
  for (const auto* name : {"a.example", "b.example", "c.example"})
    server.add(name, RecordType::kA, {.silent = true});
  make([](ResolverOptions& options) {
    options.max_lookups = 2;
    options.max_waiting = 3;
    options.lookup.limit = milliseconds(300);
  });
  std::array<Resolver::FoundPointer, 5> found;
  start("a.example", found[0]);
  start("b.example", found[1]);
  start("c.example", found[2]);
  start("a.example", found[3]);
  start("b.example", found[4]);
  loop.run_until([&] { return found[2] && found[4]; });
  EXPECT_EQ(found[2]->lookup.outcome, Outcome::kBusy) << "a third lookup";
  EXPECT_EQ(found[4]->lookup.outcome, Outcome::kBusy) << "a fourth who waits";
  loop.run_until([&] { return found[0] && found[1] && found[3]; });
  EXPECT_EQ(find("d.example").outcome, Outcome::kNoName) << "there is room again";
}

TEST_F(ResolverTest, ManyAtOnceAllComeBack) {
  constexpr int kNames = 60;
  for (int i = 0; i < kNames; ++i) server.add("n" + std::to_string(i) + ".example", {"192.0.2.1"});
  make();
  std::array<Resolver::FoundPointer, kNames> found;
  for (int i = 0; i < kNames; ++i)
    start("n" + std::to_string(i) + ".example", found[static_cast<std::size_t>(i)]);
  loop.run_until(
      [&] { return std::ranges::all_of(found, [](const auto& one) { return one != nullptr; }); });
  for (const auto& one : found) EXPECT_EQ(one->lookup.outcome, Outcome::kFound);
}

TEST_F(ResolverTest, UsesTheFileOfServersAsItIsNow) {
  server.add("www.example.org", {"192.0.2.1"});
  const auto path = ::testing::TempDir() + "resolv.conf." + std::to_string(::getpid());
  std::ofstream(path) << "search example.org\nnameserver 127.0.0.2\n";  // nobody is there
  make([&](ResolverOptions& options) {
    options.lookup.servers.clear();
    options.lookup.resolv_conf = path;
    options.lookup.port = server.port();
    options.lookup.limit = milliseconds(500);
  });
  EXPECT_EQ(find("www.example.org").outcome, Outcome::kFailed);
  std::ofstream(path) << "search example.org\nnameserver 127.0.0.1\n";
  EXPECT_EQ(find("www.example.org").outcome, Outcome::kFound);
  EXPECT_EQ(find("www").outcome, Outcome::kNoName);
  EXPECT_THAT(server.names(), ElementsAre("www.example.org", "www")) << "no domain is searched";
  std::filesystem::remove(path);
}

TEST_F(ResolverTest, KnowsTheHostsOfTheFile) {
  auto lookup = find("localhost");
  EXPECT_EQ(lookup.outcome, Outcome::kFound);
  EXPECT_THAT(texts(lookup.addresses), ::testing::Contains("127.0.0.1"));
  EXPECT_EQ(server.asked(), 0) << "/etc/hosts comes first";
}

}  // namespace
}  // namespace capsem::host::net
