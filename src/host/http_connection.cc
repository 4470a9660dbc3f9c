#include "host/http_connection.h"

#include <sys/socket.h>

#include <algorithm>
#include <boost/asio/experimental/awaitable_operators.hpp>
#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <charconv>
#include <chrono>
#include <optional>
#include <string>
#include <utility>

#include "api/json.h"
#include "api/routes.h"
#include "async/join.h"
#include "async/limit.h"
#include "async/socket_stream.h"
#include "base/text.h"
#include "host/net/policy_text.h"

namespace capsem::host {
namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

using Socket = asio::generic::stream_protocol::socket;
using Request = http::request<http::string_body>;
using Response = http::response<http::string_body>;

constexpr std::uint32_t kMaxHeadBytes = 8 << 10;
constexpr std::uint64_t kMaxBodyBytes = net::kPolicyTextLimitBytes;
constexpr const char* kJson = "application/json";
constexpr const char* kJsonLines = "application/x-ndjson";

// The parts of "/v1/events?since=3&follow=1"; names and values of ours need no decoding.
struct Target {
  std::string_view path;
  std::string_view query;

  explicit Target(std::string_view text)
      : path(text.substr(0, text.find('?'))),
        query(path.size() == text.size() ? std::string_view() : text.substr(path.size() + 1)) {}

  std::optional<std::string_view> parameter(std::string_view name) const {
    for (auto rest = query; !rest.empty();) {
      auto pair = rest.substr(0, rest.find('&'));
      rest.remove_prefix(std::min(rest.size(), pair.size() + 1));
      if (pair.substr(0, pair.find('=')) == name)
        return pair.size() == name.size() ? "" : pair.substr(name.size() + 1);
    }
    return std::nullopt;
  }
};

std::optional<std::uint64_t> number(std::string_view text) {
  std::uint64_t value = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

api::Question described(const net::Questions::Asked& asked) {
  auto rule = net::rule_to_allow(net::for_all_requests(asked.question));
  return {
      .id = asked.id,
      .what = asked.of_name ? net::what_of_name(asked.question.host) : net::what_of(asked.question),
      .executable = net::shortened(asked.question.flow.process.executable),
      .rule = rule ? net::write_rule(*rule) : ""};
}

class Connection {
 public:
  Connection(Socket socket, Monitor& monitor, std::chrono::milliseconds request_limit)
      : socket_(std::move(socket)), monitor_(monitor), request_limit_(request_limit) {}

  Task<> run();

 private:
  // Each answers one request; true when the connection goes on.
  Task<bool> answer();
  Task<bool> read(http::request_parser<http::string_body>& parser, beast::error_code& error);
  Task<bool> answer_vm(const Target& target);
  Task<bool> answer_events(const Target& target);
  Task<bool> answer_upgrade(const api::UpgradeRow& upgrade, const wire::Port& port);
  Task<bool> answer_stop();
  Task<bool> answer_policy();
  Task<bool> answer_denials();
  Task<bool> answer_questions();
  Task<bool> answer_answer();
  Task<bool> answer_end();

  Task<bool> send(http::status status, std::string body, const char* type = kJson);
  Task<bool> refuse(http::status status, std::string reason, std::string advice = {});
  Task<bool> send_failure(http::status status, Error error);
  Task<bool> send_events(std::uint64_t since);
  // An answer of JSON lines, which ends when it is known that there are no more.
  Task<bool> begin_lines();
  Task<bool> send_lines(const std::string& lines);
  Task<bool> end_lines();
  Task<bool> write(std::string bytes);
  Task<> client_gone();

  Socket socket_;
  Monitor& monitor_;
  std::chrono::milliseconds request_limit_;
  beast::flat_buffer buffer_{kMaxHeadBytes + kMaxBodyBytes};
  Request request_;
};

Task<> Connection::run() {
  bool goes_on = true;
  while (goes_on) {
    http::request_parser<http::string_body> parser;
    parser.header_limit(kMaxHeadBytes);
    parser.body_limit(kMaxBodyBytes);
    beast::error_code error;
    request_ = {};
    if (!co_await async::with_limit(request_limit_, read(parser, error))) co_return;
    bool readable = !error;
    bool malformed = error.category() == http::make_error_code(http::error::bad_method).category();
    if (!readable && malformed && error != http::error::end_of_stream)
      co_await refuse(http::status::bad_request, error.message());
    if (!readable) co_return;
    request_ = parser.release();
    goes_on = co_await answer();
  }
}

Task<bool> Connection::read(http::request_parser<http::string_body>& parser,
                            beast::error_code& error) {
  co_await http::async_read(socket_, buffer_, parser,
                            asio::redirect_error(asio::use_awaitable, error));
  co_return true;
}

Task<bool> Connection::answer() {
  const std::string text = request_.target();
  const Target target(text);
  const api::RouteRow* found = nullptr;
  bool path_known = false;
  for (const auto& row : api::kRoutes) {
    if (row.path != target.path) continue;
    path_known = true;
    if (row.method == std::string_view(request_.method_string())) found = &row;
  }
  if (found == nullptr) {
    auto status = path_known ? http::status::method_not_allowed : http::status::not_found;
    co_return co_await refuse(
        status, path_known ? "it does not take this method" : "there is nothing at this path");
  }
  switch (found->route) {
    case api::Route::kVm:
      co_return co_await answer_vm(target);
    case api::Route::kEvents:
      co_return co_await answer_events(target);
    case api::Route::kSessions:
      co_return co_await answer_upgrade(api::upgrade_of(found->route), wire::kSessionPort);
    case api::Route::kCopies:
    case api::Route::kPorts:
      co_return co_await answer_upgrade(api::upgrade_of(found->route), wire::kTransferPort);
    case api::Route::kDeploy:
      co_return co_await answer_upgrade(api::upgrade_of(found->route), wire::kDeployPort);
    case api::Route::kStop:
      co_return co_await answer_stop();
    case api::Route::kKill:
      monitor_.stop();
      co_return co_await answer_end();
    case api::Route::kPolicy:
      co_return co_await answer_policy();
    case api::Route::kDenials:
      co_return co_await answer_denials();
    case api::Route::kQuestions:
      co_return co_await answer_questions();
    case api::Route::kAnswer:
      co_return co_await answer_answer();
  }
  co_return false;
}

Task<bool> Connection::answer_vm(const Target& target) {
  if (auto word = target.parameter("wait")) {
    auto state = api::parse_state(*word);
    if (!state) co_return co_await refuse(http::status::bad_request, "'wait' names no state");
    using asio::experimental::awaitable_operators::operator||;
    co_await (monitor_.reached(*state) || client_gone());
  }
  co_return co_await send(http::status::ok, api::to_json(monitor_.vm()) + "\n");
}

Task<bool> Connection::answer_stop() {
  api::Stop stop;
  if (!request_.body().empty()) {
    auto parsed = api::parse_stop(request_.body());
    if (!parsed) co_return co_await send_failure(http::status::bad_request, parsed.error());
    stop = *parsed;
  }
  monitor_.shut_down(std::chrono::milliseconds(stop.grace_ms));
  co_return co_await answer_end();
}

Task<bool> Connection::answer_policy() {
  auto policy = net::Policy::parse(request_.body(), "the policy");
  if (!policy) co_return co_await send_failure(http::status::bad_request, policy.error());
  monitor_.change_policy(std::move(*policy));
  co_return co_await send(http::status::ok, api::to_json(monitor_.vm()) + "\n");
}

Task<bool> Connection::answer_denials() {
  std::vector<api::Denial> denials;
  for (const auto& denial : monitor_.network().denials().all())
    denials.push_back({.what = denial.what,
                       .reason = denial.reason,
                       .option = denial.option,
                       .rule = denial.rule,
                       .executable = printable(denial.process.executable),
                       .count = denial.count});
  co_return co_await send(http::status::ok, api::to_json(denials) + "\n");
}

Task<bool> Connection::answer_end() {
  co_await monitor_.reached(api::State::kEnded);
  co_return co_await send(http::status::ok, api::to_json(monitor_.vm()) + "\n");
}

Task<bool> Connection::answer_events(const Target& target) {
  auto since = number(target.parameter("since").value_or("0"));
  auto follow = number(target.parameter("follow").value_or("0"));
  if (!since || !follow || *follow > 1)
    co_return co_await refuse(http::status::bad_request, "'since' or 'follow' is no such number");
  if (*follow == 1) co_return co_await send_events(*since);
  std::string lines;
  for (const auto& event : monitor_.events().after(*since)) lines += api::to_json(event) + "\n";
  co_return co_await send(http::status::ok, std::move(lines), kJsonLines);
}

// As chunks, the last of them after the VM's end.
Task<bool> Connection::send_events(std::uint64_t since) {
  using asio::experimental::awaitable_operators::operator||;
  bool sent = co_await begin_lines();
  if (!sent) co_return false;
  for (;;) {
    bool ended = monitor_.vm().state == api::State::kEnded;
    std::string lines;
    for (const auto& event : monitor_.events().after(since)) {
      lines += api::to_json(event) + "\n";
      since = event.sequence;
    }
    sent = co_await send_lines(lines);
    if (!sent) co_return false;
    if (ended) break;
    auto next = co_await (monitor_.events().more(since) || client_gone());
    if (next.index() == 1) co_return false;
  }
  co_return co_await end_lines();
}

Task<bool> Connection::begin_lines() {
  http::response<http::empty_body> head{http::status::ok, request_.version()};
  head.set(http::field::content_type, kJsonLines);
  head.chunked(true);
  http::response_serializer<http::empty_body> serializer{head};
  beast::error_code error;
  co_await http::async_write_header(socket_, serializer,
                                    asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

Task<bool> Connection::send_lines(const std::string& lines) {
  if (lines.empty()) co_return true;
  beast::error_code error;
  co_await asio::async_write(socket_, http::make_chunk(asio::buffer(lines)),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

Task<bool> Connection::end_lines() {
  beast::error_code error;
  co_await asio::async_write(socket_, http::make_chunk_last(),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

// Whoever reads this is somebody to ask, for as long as he is there.
Task<bool> Connection::answer_questions() {
  using asio::experimental::awaitable_operators::operator||;
  bool sent = co_await begin_lines();
  if (!sent) co_return false;
  auto& questions = monitor_.network().questions();
  const net::Questions::Listener listener(questions);
  std::uint64_t told = 0;
  while (monitor_.vm().state != api::State::kEnded) {
    const auto change = questions.change();
    const auto* current = questions.current();
    auto question = current != nullptr ? described(*current) : api::Question();
    if (std::exchange(told, question.id) != question.id) {
      const auto line = api::to_json(question) + "\n";
      sent = co_await send_lines(line);
      if (!sent) co_return false;
    }
    auto next = co_await (questions.other_than(change) || monitor_.reached(api::State::kEnded) ||
                          client_gone());
    if (next.index() == 2) co_return false;
  }
  co_return co_await end_lines();
}

Task<bool> Connection::answer_answer() {
  auto answer = api::parse_answer(request_.body());
  if (!answer) co_return co_await send_failure(http::status::bad_request, answer.error());
  if (!monitor_.network().answer(answer->id, answer->allowed))
    co_return co_await refuse(http::status::not_found, "this is not asked any more");
  co_return co_await send(http::status::ok, api::to_json(monitor_.vm()) + "\n");
}

// From the answer on the connection is one to `port` of the guest.
Task<bool> Connection::answer_upgrade(const api::UpgradeRow& upgrade, const wire::Port& port) {
  const std::string protocol(upgrade.protocol);
  bool asked = beast::iequals(request_[http::field::upgrade], protocol) &&
               http::token_list(request_[http::field::connection]).exists("upgrade");
  if (!asked)
    co_return co_await refuse(http::status::upgrade_required,
                              std::string(upgrade.what) + " needs an upgrade",
                              "send 'Connection: Upgrade' and 'Upgrade: " + protocol + "'");
  if (buffer_.size() > 0)
    co_return co_await refuse(http::status::bad_request, "it sent more before the answer");
  using asio::experimental::awaitable_operators::operator||;
  auto first = co_await (monitor_.open(port, upgrade.what) || client_gone());
  if (first.index() == 1)
    co_return co_await refuse(http::status::bad_request,
                              "it closed, or sent more, before the answer");
  auto guest = std::get<0>(std::move(first));
  if (!guest)
    co_return co_await send_failure(http::status::service_unavailable, std::move(guest).error());
  bool sent = co_await write(
      "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: " + protocol +
      "\r\n\r\n");
  if (!sent) co_return false;
  auto executor = socket_.get_executor();
  auto client = async::SocketStream::create(executor, Fd(socket_.release()));
  if (!client) co_return false;
  // An error of either side is the other's to notice: its stream is reset.
  auto joined = co_await async::join(**client, **guest);
  static_cast<void>(joined);
  co_return false;
}

Task<bool> Connection::send(http::status status, std::string body, const char* type) {
  Response response{status, request_.version()};
  response.set(http::field::content_type, type);
  response.keep_alive(request_.keep_alive());
  response.body() = std::move(body);
  response.prepare_payload();
  beast::error_code error;
  co_await http::async_write(socket_, response, asio::redirect_error(asio::use_awaitable, error));
  co_return !error && response.keep_alive();
}

Task<bool> Connection::refuse(http::status status, std::string reason, std::string advice) {
  std::string subject = "a request";
  if (!request_.target().empty())
    subject = std::string(request_.method_string()) + " " + std::string(request_.target());
  co_return co_await send_failure(status, Error("answer", std::move(subject), std::move(reason),
                                                std::move(advice), ErrorKind::kInvalid));
}

Task<bool> Connection::send_failure(http::status status, Error error) {
  co_return co_await send(status, api::to_json(monitor_.failure(std::move(error))) + "\n");
}

Task<bool> Connection::write(std::string bytes) {
  beast::error_code error;
  co_await asio::async_write(socket_, asio::buffer(bytes),
                             asio::redirect_error(asio::use_awaitable, error));
  co_return !error;
}

// Returns when the client has closed, or sends what nobody asked for.
Task<> Connection::client_gone() {
  beast::error_code error;
  co_await socket_.async_wait(asio::socket_base::wait_read,
                              asio::redirect_error(asio::use_awaitable, error));
}

}  // namespace

Task<> serve_http(asio::any_io_executor executor, Fd socket, Monitor& monitor,
                  std::chrono::milliseconds request_limit) {
  Socket owned(executor);
  boost::system::error_code error;
  if (owned.assign(asio::generic::stream_protocol(AF_UNIX, 0), socket.get(), error)) co_return;
  socket.release();
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto connection = std::make_unique<Connection>(std::move(owned), monitor, request_limit);
  co_await connection->run();
}

}  // namespace capsem::host
