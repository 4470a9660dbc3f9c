#include "vm/qmp.h"

#include <boost/asio/buffer.hpp>
#include <boost/asio/local/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <cstdint>
#include <map>
#include <optional>

#include "async/event.h"
#include "async/latch.h"
#include "base/json.h"
#include "base/text.h"

namespace capsem::vm {

namespace asio = boost::asio;
using async::Latch;
using nlohmann::json;

namespace {

// The longest line QEMU sends to the commands we use is a few hundred bytes.
constexpr std::size_t kMaxLineBytes = 1 << 20;

// The member `key` of an object, or null: what arrives need not have the form the protocol says.
const json& member(const json& object, const char* key) {
  static const json kNull;
  if (!object.is_object()) return kNull;
  auto found = object.find(key);
  return found == object.end() ? kNull : *found;
}

std::string string_member(const json& object, const char* key) {
  const auto& value = member(object, key);
  return value.is_string() ? value.get<std::string>() : std::string();
}

int int_member(const json& object, const char* key) {
  const auto& value = member(object, key);
  return value.is_number_integer() ? value.get<int>() : 0;
}

}  // namespace

std::string QemuVersion::text() const {
  return std::to_string(major) + "." + std::to_string(minor) + "." + std::to_string(micro);
}

// Shared with the coroutines that read and write, which may outlive the client.
struct Qmp::State {
  struct Pending {
    Latch answered;
    std::optional<json> answer;
  };

  State(const asio::any_io_executor& executor_, Fd fd)
      : executor(executor_),
        socket(executor_, asio::local::stream_protocol(), fd.release()),
        greeted(executor_) {}

  asio::any_io_executor executor;
  asio::local::stream_protocol::socket socket;
  EventHandler handler;
  Latch greeted;
  std::optional<json> greeting;
  std::map<std::uint64_t, std::shared_ptr<Pending>> pending;
  std::uint64_t next_id = 1;
  std::string outbox;
  async::Event may_write;
  bool closed = false;

  void close() {
    closed = true;
    may_write.notify();
    boost::system::error_code ignored;
    [[maybe_unused]] auto error = socket.close(ignored);
    greeted.set();
    auto abandoned = std::move(pending);
    pending.clear();
    for (auto& [id, command] : abandoned) command->answered.set();
  }

  void receive(std::string_view line) {
    auto message = json::parse(line, nullptr, /*allow_exceptions=*/false);
    if (!member(message, "QMP").is_null()) {
      greeting = message;
      greeted.set();
      return;
    }
    if (auto event = string_member(message, "event"); !event.empty()) {
      if (handler) handler(event, member(message, "data"));
      return;
    }
    const auto& id = member(message, "id");
    if (!id.is_number_unsigned()) return;
    auto found = pending.find(id.get<std::uint64_t>());
    if (found == pending.end()) return;  // its limit has passed
    found->second->answer = std::move(message);
    found->second->answered.set();
    pending.erase(found);
  }

  static Task<> read(std::shared_ptr<State> state);
  static Task<> write(std::shared_ptr<State> state);
};

Task<> Qmp::State::read(std::shared_ptr<State> state) {
  std::string buffer;
  std::array<char, 4096> piece{};
  while (!state->closed) {
    boost::system::error_code error;
    auto n = co_await state->socket.async_read_some(
        asio::buffer(piece), asio::redirect_error(asio::use_awaitable, error));
    if (error || buffer.size() + n > kMaxLineBytes) break;
    buffer.append(piece.data(), n);
    for (auto end = buffer.find('\n'); end != std::string::npos; end = buffer.find('\n')) {
      auto line = buffer.substr(0, end);
      buffer.erase(0, end + 1);
      state->receive(line);
    }
  }
  state->close();
}

Task<> Qmp::State::write(std::shared_ptr<State> state) {
  while (!state->closed) {
    if (state->outbox.empty()) {
      bool notified = co_await state->may_write.wait();
      if (!notified) co_return;
      continue;
    }
    auto data = std::exchange(state->outbox, {});
    boost::system::error_code error;
    co_await asio::async_write(state->socket, asio::buffer(data),
                               asio::redirect_error(asio::use_awaitable, error));
    if (error) state->close();
  }
}

Qmp::Qmp(std::shared_ptr<State> state) : state_(std::move(state)) {}

Result<Qmp> Qmp::create(const asio::any_io_executor& executor, async::TaskGroup& tasks, Fd socket) {
  if (auto set = set_nonblocking(socket, true); !set) return propagate(set);
  auto state = std::make_shared<State>(executor, std::move(socket));
  tasks.spawn(State::read(state));
  tasks.spawn(State::write(state));
  return Qmp(std::move(state));
}

Qmp::~Qmp() {
  if (!state_) return;
  state_->handler = {};
  state_->close();
}

void Qmp::on_event(EventHandler handler) {
  state_->handler = std::move(handler);
}

Task<Result<QemuVersion>> Qmp::connect(std::chrono::milliseconds limit) {
  auto state = state_;
  bool set = co_await state->greeted.wait(limit);
  if (!set)
    co_return fail("talk to", "QEMU", "it does not greet on its control socket", "",
                   ErrorKind::kTimeout);
  if (!state->greeting)
    co_return fail("talk to", "QEMU", "it closed its control socket", "", ErrorKind::kClosed);
  const auto& version = member(member(member(*state->greeting, "QMP"), "version"), "qemu");
  QemuVersion result;
  result.major = int_member(version, "major");
  result.minor = int_member(version, "minor");
  result.micro = int_member(version, "micro");
  std::string command = "qmp_capabilities";
  json none = json::object();
  auto entered = co_await execute(std::move(command), std::move(none), limit);
  if (!entered) co_return propagate(entered);
  co_return result;
}

Task<Result<json>> Qmp::execute(std::string command, json arguments,
                                std::chrono::milliseconds limit) {
  auto state = state_;  // this object may be gone when the answer arrives
  auto subject = "\"" + command + "\" of QEMU";
  if (state->closed) co_return fail("execute", subject, "QEMU has gone", "", ErrorKind::kClosed);
  auto id = state->next_id++;
  json message = {{"execute", command}, {"id", id}};
  if (!arguments.empty()) message["arguments"] = std::move(arguments);
  state->outbox += json_text(message) + "\n";
  auto pending =
      std::make_shared<State::Pending>(State::Pending{.answered = Latch(state->executor)});
  state->pending.emplace(id, pending);
  state->may_write.notify();

  co_await pending->answered.wait(limit);
  state->pending.erase(id);
  if (!pending->answer && pending->answered.is_set())
    co_return fail("execute", subject, "QEMU has gone", "", ErrorKind::kClosed);
  if (!pending->answer)
    co_return fail("execute", subject, "no answer within " + std::to_string(limit.count()) + " ms",
                   "", ErrorKind::kTimeout);
  const auto& error = member(*pending->answer, "error");
  if (!error.is_null()) co_return fail("execute", subject, printable(string_member(error, "desc")));
  co_return member(*pending->answer, "return");
}

}  // namespace capsem::vm
