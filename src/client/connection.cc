#include "client/connection.h"

#include <sys/socket.h>

#include <boost/asio/generic/stream_protocol.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <string_view>
#include <utility>

#include "api/json.h"
#include "api/routes.h"
#include "async/limit.h"
#include "async/socket_stream.h"

namespace capsem::client {

namespace {

namespace asio = boost::asio;
namespace beast = boost::beast;
namespace http = beast::http;

constexpr unsigned kHttpVersion = 11;
// The largest answer holds what the guest's hello may hold.
constexpr std::uint64_t kMaxBodyBytes = 4 << 20;

std::unexpected<Error> broken(const beast::error_code& error) {
  bool ended = error == http::error::end_of_stream || error == http::error::partial_message;
  return fail("ask", "the VM's monitor", ended ? "it has ended" : error.message(), "",
              ErrorKind::kClosed);
}

std::unexpected<Error> refused(std::string_view body) {
  auto failure = api::parse_failure(body);
  if (!failure) return propagate(failure, "read", "the monitor's answer");
  return std::unexpected(std::move(failure->error));
}

http::request<http::string_body> request_for(http::verb method, std::string_view target) {
  http::request<http::string_body> request{method, target, kHttpVersion};
  request.set(http::field::host, "capsem");
  return request;
}

http::request<http::string_body> post_request(std::string_view target, std::string body) {
  auto request = request_for(http::verb::post, target);
  if (!body.empty()) request.set(http::field::content_type, "application/json");
  request.body() = std::move(body);
  request.prepare_payload();
  return request;
}

}  // namespace

struct Connection::State {
  using Socket = asio::generic::stream_protocol::socket;
  using Response = http::response<http::string_body>;

  explicit State(const asio::any_io_executor& executor) : socket(executor) {}

  Task<Result<>> send(http::request<http::string_body> request) {
    beast::error_code error;
    co_await http::async_write(socket, request, asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return broken(error);
    co_return Result<>();
  }

  Task<Result<Response>> receive() {
    http::response_parser<http::string_body> parser;
    parser.body_limit(kMaxBodyBytes);
    beast::error_code error;
    co_await http::async_read(socket, buffer, parser,
                              asio::redirect_error(asio::use_awaitable, error));
    if (error) co_return broken(error);
    co_return parser.release();
  }

  Task<Result<api::Vm>> ask_for_vm(http::request<http::string_body> request) {
    auto sent = co_await send(std::move(request));
    if (!sent) co_return propagate(sent);
    auto response = co_await receive();
    if (!response) co_return propagate(response);
    if (response->result() != http::status::ok) co_return refused(response->body());
    co_return api::parse_vm(response->body());
  }

  // Calls `take` with each line of the answer, to its end, or to a line that is none.
  Task<Result<>> follow(std::string_view target,
                        const std::function<Result<>(std::string_view line)>& take) {
    auto sent = co_await send(request_for(http::verb::get, target));
    if (!sent) co_return sent;
    http::response_parser<http::string_body> parser;
    parser.body_limit(boost::none);
    std::string line;
    std::optional<Error> malformed;
    auto take_piece = [&](std::uint64_t, beast::string_view piece, beast::error_code&) {
      for (char each : piece) {
        if (each != '\n') {
          line += each;
          continue;
        }
        auto taken = take(line);
        if (!taken && !malformed) malformed = std::move(taken).error();
        line.clear();
      }
      return piece.size();
    };
    parser.on_chunk_body(take_piece);
    beast::error_code error;
    while (!parser.is_done() && !error && !malformed)
      co_await http::async_read_some(socket, buffer, parser,
                                     asio::redirect_error(asio::use_awaitable, error));
    if (malformed) co_return std::unexpected(std::move(*malformed));
    if (error) co_return broken(error);
    co_return Result<>();
  }

  Socket socket;
  beast::flat_buffer buffer;
};

Connection::Connection(std::unique_ptr<State> state) : state_(std::move(state)) {}
Connection::Connection(Connection&&) noexcept = default;
Connection::~Connection() = default;

Result<Connection> Connection::create(const asio::any_io_executor& executor, Fd socket) {
  auto state = std::make_unique<State>(executor);
  boost::system::error_code error;
  if (state->socket.assign(asio::generic::stream_protocol(AF_UNIX, 0), socket.get(), error))
    return fail_system("connect to", "the VM's monitor", error.value());
  socket.release();
  return Connection(std::move(state));
}

Task<Result<api::Vm>> Connection::vm(std::optional<api::State> wait) {
  std::string target = "/v1/vm";
  if (wait) target += "?wait=" + std::string(api::name(*wait));
  return state_->ask_for_vm(request_for(http::verb::get, target));
}

Task<Result<api::Vm>> Connection::vm_at_end(std::chrono::milliseconds limit) {
  auto stopping = co_await async::with_limit(limit, vm(api::State::kStopping));
  if (!stopping) co_return fail("wait for", "the VM's end", "it goes on", "", ErrorKind::kTimeout);
  if (!*stopping || (*stopping)->state == api::State::kEnded) co_return std::move(*stopping);
  co_return co_await vm(api::State::kEnded);
}

Task<Result<api::Vm>> Connection::stop(std::chrono::milliseconds grace) {
  api::Stop stop{.grace_ms = static_cast<std::uint32_t>(grace.count())};
  return state_->ask_for_vm(post_request("/v1/stop", api::to_json(stop)));
}

Task<Result<api::Vm>> Connection::kill() {
  return state_->ask_for_vm(post_request("/v1/kill", ""));
}

Task<Result<api::Vm>> Connection::set_policy(std::string text) {
  auto request = request_for(http::verb::put, "/v1/policy");
  request.set(http::field::content_type, "application/toml");
  request.body() = std::move(text);
  request.prepare_payload();
  return state_->ask_for_vm(std::move(request));
}

Task<Result<std::vector<api::Denial>>> Connection::denials() {
  auto sent = co_await state_->send(request_for(http::verb::get, "/v1/denials"));
  if (!sent) co_return propagate(sent);
  auto response = co_await state_->receive();
  if (!response) co_return propagate(response);
  co_return api::parse_denials(response->body());
}

Task<Result<>> Connection::follow_events(std::function<void(const api::Event&)> on_event) {
  const std::function<Result<>(std::string_view)> take =
      [&on_event](std::string_view line) -> Result<> {
    auto event = api::parse_event(line);
    if (!event) return propagate(event);
    on_event(*event);
    return {};
  };
  co_return co_await state_->follow("/v1/events?follow=1", take);
}

Task<Result<>> Connection::follow_questions(std::function<void(const api::Question&)> on_question) {
  const std::function<Result<>(std::string_view)> take =
      [&on_question](std::string_view line) -> Result<> {
    auto question = api::parse_question(line);
    if (!question) return propagate(question);
    on_question(*question);
    return {};
  };
  co_return co_await state_->follow("/v1/questions", take);
}

Task<Result<api::Vm>> Connection::answer(api::Answer answer) {
  return state_->ask_for_vm(post_request("/v1/questions", api::to_json(answer)));
}

Task<Result<Fd>> Connection::open(api::Route route, std::optional<Refusal>& refusal) {
  auto request = request_for(http::verb::post, api::row_of(route).path);
  request.set(http::field::connection, "Upgrade");
  request.set(http::field::upgrade, std::string(api::upgrade_of(route).protocol));
  request.set(http::field::content_length, "0");
  auto sent = co_await state_->send(std::move(request));
  if (!sent) co_return propagate(sent);
  auto response = co_await state_->receive();
  if (!response) co_return propagate(response);
  if (response->result() != http::status::switching_protocols) {
    auto failure = api::parse_failure(response->body());
    if (!failure) co_return propagate(failure, "read", "the monitor's answer");
    refusal = std::move(*failure);
    co_return std::unexpected(refusal->error);
  }
  // The guest says nothing before it was asked.
  if (state_->buffer.size() > 0)
    co_return fail("ask", "the VM's monitor", "it said more than its answer", "",
                   ErrorKind::kInvalid);
  co_return Fd(state_->socket.release());
}

Task<Result<std::unique_ptr<async::Stream>>> Connection::open_session(
    std::optional<Refusal>& refusal) {
  co_return co_await open_stream(api::Route::kSessions, refusal);
}

Task<Result<std::unique_ptr<async::Stream>>> Connection::open_stream(
    api::Route route, std::optional<Refusal>& refusal) {
  auto executor = state_->socket.get_executor();
  auto socket = co_await open(route, refusal);
  if (!socket) co_return propagate(socket);
  auto stream = async::SocketStream::create(executor, std::move(*socket));
  if (!stream) co_return propagate(stream);
  co_return std::move(*stream);
}

}  // namespace capsem::client
