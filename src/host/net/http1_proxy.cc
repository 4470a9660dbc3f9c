#include "host/net/http1_proxy.h"

#include <algorithm>
#include <boost/asio/buffer.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/this_coro.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <boost/beast/http/status.hpp>
#include <optional>
#include <utility>

#include "async/event.h"
#include "async/join.h"
#include "async/limit.h"
#include "async/task_group.h"
#include "host/net/counted_stream.h"
#include "host/net/filtered_stream.h"
#include "host/net/http_body.h"
#include "host/net/http_input.h"
#include "host/net/http_parser.h"
#include "host/net/linger.h"

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
using Clock = std::chrono::steady_clock;

// Of a body that nobody wants any more, while the client reads why.
constexpr std::size_t kLingerBytes = 1 << 20;
// RFC 9112, 3: method, target and version.
constexpr std::ptrdiff_t kRequestLineWords = 3;

std::span<const std::byte> bytes_of(std::string_view text) {
  return std::as_bytes(std::span(text));
}

std::string text_answer(unsigned status, const std::string& line, bool closes, bool head) {
  const auto reason =
      boost::beast::http::obsolete_reason(boost::beast::http::int_to_status(status));
  std::string text = "HTTP/1.1 " + std::to_string(status) + " " + std::string(reason) + "\r\n";
  text += "Content-Type: text/plain; charset=utf-8\r\nCache-Control: no-store\r\n";
  text += "Content-Length: " + std::to_string(line.size() + 1) + "\r\n";
  if (closes) text += "Connection: close\r\n";
  text += "\r\n";
  if (!head) text += line + "\n";
  return text;
}

// A request that is under way.
struct Exchange {
  RequestRecord record;
  Clock::time_point begin;
  AnswerPlace place;
  bool keep_alive = true;
  bool asked = false;  // the server has some of the request
  bool begun = false;  // the client has some of the answer
  bool sent = false;   // the whole request is passed on
  bool answered = false;
  std::unique_ptr<ExchangeFilter> filter = nullptr;
  BodyWay request_way = {};
  BodyWay answer_way = {};
};

// Two tasks, one for what the guest says and one for what the server says, and a third that looks
// at the time. Requests go one by one: the next head is read while an answer is on its way, but not
// handled before that has ended.
class Proxy {
 public:
  Proxy(const asio::any_io_executor& executor, async::Stream& guest,
        std::span<const std::byte> received, HttpProxyOptions options)
      : guest_(guest),
        guest_in_(guest, received),
        options_(std::move(options)),
        timer_(executor),
        tasks_(executor) {}
  ~Proxy() {
    if (exchange_) log(*exchange_);
  }
  Proxy(const Proxy&) = delete;
  Proxy& operator=(const Proxy&) = delete;

  Task<> run();

 private:
  Task<> requests();
  Task<> answers();
  Task<> watch();

  // Each true when there may be a next one.
  Task<bool> request();
  Task<bool> judge(PlainRequest request, HttpParser<true>& parser);
  Task<bool> deny(const PlainRequest& request, HttpParser<true>& parser,
                  const Judgement& judgement);
  Task<bool> connect(const PlainRequest& request);
  Task<bool> pass_on(PlainRequest& request, HttpParser<true>& parser);
  Task<bool> answer();
  Task<bool> pass_back(PlainAnswer answer, HttpParser<false>& parser);
  Task<bool> no_answer(const std::string& reason);

  std::expected<PlainRequest, Refusal> read_request(std::string_view text,
                                                    HttpParser<true>& parser) const;
  std::expected<PlainAnswer, Refusal> read_answer(std::string_view text,
                                                  HttpParser<false>& parser) const;
  bool refuse(Refusal refusal);
  bool abort(std::string failure);
  void begin(const PlainRequest& request);
  void begin(RequestRecord record);
  void end_exchange();
  void log(Exchange& exchange);
  void arm();
  void end_tasks();
  Task<> tunnel();
  Task<> say_last_words();

  async::Stream& guest_;
  HttpInput guest_in_;
  std::unique_ptr<async::Stream> upstream_;
  std::optional<HttpInput> upstream_in_;
  HttpProxyOptions options_;

  std::optional<Exchange> exchange_;
  async::Event exchange_ended_;
  std::optional<Refusal> last_words_;
  bool upgraded_ = false;
  bool aborted_ = false;
  bool ending_ = false;
  bool upstream_over_ = false;
  bool reused_ = false;  // the server has answered before

  bool in_head_ = false;
  bool head_begun_ = false;
  std::optional<Clock::time_point> deadline_;
  asio::steady_timer timer_;
  async::TaskGroup tasks_;
};

Task<> Proxy::run() {
  tasks_.spawn(requests());
  tasks_.spawn(watch());
  co_await tasks_.join();
  if (upgraded_)
    co_await tunnel();
  else if (aborted_)
    guest_.reset();
  else
    co_await say_last_words();
}

Task<> Proxy::requests() {
  bool goes_on = true;
  while (goes_on) goes_on = co_await request();
  end_tasks();
}

Task<> Proxy::answers() {
  bool goes_on = true;
  while (goes_on) goes_on = co_await answer();
  // A request that is being refused is still answered.
  if (!upstream_over_ || in_head_ || (exchange_ && exchange_->asked)) end_tasks();
}

Task<> Proxy::watch() {
  for (;;) {
    boost::system::error_code error;
    timer_.expires_at(deadline_.value_or(Clock::time_point::max()));
    co_await timer_.async_wait(asio::redirect_error(asio::use_awaitable, error));
    if (deadline_ && Clock::now() >= *deadline_) break;
  }
  if (head_begun_) refuse({408, "its head took too long"});
  end_tasks();
}

void Proxy::end_tasks() {
  ending_ = true;
  tasks_.cancel();
}

// Sets the time until when the guest has to say more, while only it can.
void Proxy::arm() {
  deadline_.reset();
  if (exchange_ || !in_head_) return;
  const auto& limits = options_.limits;
  deadline_ = Clock::now() + (head_begun_ ? limits.head_time : limits.idle_time);
  // A timer that runs for longer would come too late; one that runs for less looks again.
  if (*deadline_ < timer_.expiry()) timer_.cancel();
}

Task<bool> Proxy::request() {
  in_head_ = true;
  head_begun_ = false;
  arm();
  std::function<void()> begun = [this] {
    head_begun_ = true;
    arm();
  };
  auto size = co_await guest_in_.head(options_.limits.head, begun);
  if (!size && size.error().kind() == ErrorKind::kClosed) co_return abort(size.error().reason());
  while (exchange_) co_await exchange_ended_.wait();
  in_head_ = false;
  arm();
  if (!size) {
    const unsigned status = size.error().kind() == ErrorKind::kNoSpace ? 431 : 400;
    begin(RequestRecord());
    co_return refuse({status, size.error().reason()});
  }
  if (*size == 0) co_return false;
  HttpParser<true> parser;
  auto read = read_request(guest_in_.data().substr(0, *size), parser);
  guest_in_.consume(*size);
  if (!read) {
    RequestRecord record{parser.head.method, {}, parser.head.target};
    if (auto host = parser.head.fields.find("Host")) record.host = *host;
    begin(std::move(record));
    co_return refuse(read.error());
  }
  co_return co_await judge(std::move(*read), parser);
}

std::expected<PlainRequest, Refusal> Proxy::read_request(std::string_view text,
                                                         HttpParser<true>& parser) const {
  auto checked = check_head_text(text, options_.limits.head);
  if (!checked) return std::unexpected(checked.error());
  boost::beast::error_code error;
  parser.put(asio::buffer(text.data(), text.size()), error);
  const auto words = std::ranges::count(text.substr(0, text.find('\r')), ' ') + 1;
  if (error == boost::beast::http::error::bad_version && words == kRequestLineWords)
    return std::unexpected(Refusal{505, "it is not HTTP/1.1"});
  if (error) return std::unexpected(Refusal{400, error.message()});
  return check_request(parser.head, options_.place);
}

Task<bool> Proxy::judge(PlainRequest request, HttpParser<true>& parser) {
  begin(request);
  auto judgement = co_await options_.judge(request);
  exchange_->record.decision = judgement.decision;
  if (judgement.decision.verdict == Verdict::kDeny)
    co_return co_await deny(request, parser, judgement);
  exchange_->filter = std::move(judgement.filter);
  // The client takes it for the end of an idle connection, which it is, and asks anew.
  if (upstream_over_) co_return false;
  if (!upstream_) {
    bool is_connected = co_await connect(request);
    if (!is_connected) co_return false;
  }
  co_return co_await pass_on(request, parser);
}

void Proxy::begin(RequestRecord record) {
  exchange_.emplace(std::move(record), Clock::now());
  exchange_->record.begin = std::chrono::system_clock::now();
}

void Proxy::begin(const PlainRequest& request) {
  begin(RequestRecord());
  auto& record = exchange_->record;
  record.method = request.head.method;
  record.host = request.authority.host;
  record.path = request.target.sent;
  exchange_->place = {request.head.method == "HEAD", request.upgrade, request.head.version};
  exchange_->keep_alive = request.keep_alive;
}

Task<bool> Proxy::deny(const PlainRequest& request, HttpParser<true>& parser,
                       const Judgement& judgement) {
  // Who waits to be told to send the body may send it or not.
  const bool droppable =
      request.framing == Framing::kNone ||
      (request.framing == Framing::kLength && request.length <= options_.limits.dropped_bytes &&
       request.head.fields.count("Expect") == 0);
  if (!droppable || !request.keep_alive || request.head.version < 11)
    co_return refuse({judgement.status, judgement.explanation});
  const auto text =
      text_answer(judgement.status, judgement.explanation, false, exchange_->place.head);
  exchange_->record.status = judgement.status;
  auto written = co_await guest_.write_all(bytes_of(text));
  if (!written) co_return abort(written.error().reason());
  auto dropped = co_await relay_body(guest_in_, parser, nullptr, exchange_->request_way);
  if (!dropped) co_return abort(dropped.error().reason());
  end_exchange();
  co_return !upstream_over_;
}

Task<bool> Proxy::connect(const PlainRequest& request) {
  auto connected = co_await options_.connect(request.authority.host);
  if (!connected) co_return refuse({502, connected.error().message()});
  options_.place.host = request.authority.host;
  upstream_ = std::move(*connected);
  upstream_in_.emplace(*upstream_, std::span<const std::byte>());
  tasks_.spawn(answers());
  co_return true;
}

Task<bool> Proxy::pass_on(PlainRequest& request, HttpParser<true>& parser) {
  if (exchange_->filter) exchange_->filter->request(request);
  const auto text = request.text();
  exchange_->asked = true;
  auto& way = exchange_->request_way;
  way.chunked = request.framing == Framing::kChunked;
  way.filter = exchange_->filter.get();
  auto passed = co_await upstream_->write_all(bytes_of(text));
  if (!passed) way.write_failed = true;
  if (passed && !parser.is_done())
    passed = co_await relay_body(guest_in_, parser, upstream_.get(), way);
  if (!way.fault.empty()) {
    exchange_->record.decision.verdict = Verdict::kDeny;
    co_return refuse({403, way.fault});
  }
  if (!passed && !way.write_failed) {
    if (passed.error().kind() == ErrorKind::kInvalid)
      co_return refuse({400, passed.error().reason()});
    co_return abort(passed.error().reason());
  }
  // A server that does not take the rest may have answered why; its end is told by answers().
  if (passed) exchange_->sent = true;
  if (exchange_->sent && exchange_->answered) end_exchange();
  const bool waits = !passed || request.upgrade;
  while (waits && exchange_) co_await exchange_ended_.wait();
  co_return true;
}

Task<bool> Proxy::answer() {
  std::function<void()> begun = [] {};
  auto size = co_await upstream_in_->head(options_.limits.head, begun);
  if (!exchange_ || !exchange_->asked || exchange_->answered) {
    upstream_over_ = true;  // it has ended, or says what it was not asked
    co_return false;
  }
  if (!size) co_return co_await no_answer(size.error().reason());
  if (*size == 0) co_return co_await no_answer("it ended the connection without an answer");
  HttpParser<false> parser;
  auto read = read_answer(upstream_in_->data().substr(0, *size), parser);
  upstream_in_->consume(*size);
  if (!read) co_return co_await no_answer(read.error().reason);
  co_return co_await pass_back(std::move(*read), parser);
}

std::expected<PlainAnswer, Refusal> Proxy::read_answer(std::string_view text,
                                                       HttpParser<false>& parser) const {
  auto checked = check_head_text(text, options_.limits.head);
  if (!checked) return std::unexpected(checked.error());
  if (exchange_->place.head) parser.skip(true);
  boost::beast::error_code error;
  parser.put(asio::buffer(text.data(), text.size()), error);
  if (error) return std::unexpected(Refusal{502, error.message()});
  return check_answer(parser.head, exchange_->place);
}

Task<bool> Proxy::pass_back(PlainAnswer answer, HttpParser<false>& parser) {
  auto& exchange = *exchange_;
  const bool is_last = answer.head.status / 100 != 1;
  const bool chunked = answer.framing == Framing::kChunked && exchange.place.version >= 11;
  const bool to_end =
      answer.framing == Framing::kToEnd || (answer.framing == Framing::kChunked && !chunked);
  const bool closes = !answer.keep_alive || !exchange.keep_alive || to_end;
  if (is_last || answer.upgrade) {
    exchange.begun = true;
    exchange.record.status = answer.head.status;
  } else if (exchange.place.version < 11) {
    co_return true;  // HTTP/1.0 knows of no answer before the last
  }
  if (exchange.filter) exchange.filter->answer(answer.head);
  const auto text = answer.text(closes, exchange.place);
  auto written = co_await guest_.write_all(bytes_of(text));
  if (!written) co_return abort(written.error().reason());
  upgraded_ = answer.upgrade;
  if (!is_last) co_return !upgraded_;
  exchange.answer_way.chunked = chunked;
  exchange.answer_way.filter = exchange.filter.get();
  auto passed = co_await relay_body(*upstream_in_, parser, &guest_, exchange.answer_way);
  // The client must not take what it has for the whole.
  if (!passed) co_return abort(passed.error().reason());
  reused_ = true;
  exchange.answered = true;
  if (exchange.sent) end_exchange();
  co_return !closes;
}

// The client of a connection that was used before knows that it may have ended meanwhile.
Task<bool> Proxy::no_answer(const std::string& reason) {
  if (reused_ && upstream_in_->data().empty()) {
    exchange_->record.failure = reason;
    co_return false;
  }
  co_return refuse({502, "the server '" + options_.place.host + "' gave no answer: " + reason});
}

// The connection ends with this answer; who calls it ends the tasks. Always false.
bool Proxy::refuse(Refusal refusal) {
  if (!ending_) last_words_ = std::move(refusal);
  return false;
}

// For a connection that has failed. To a task that is being ended every connection seems so.
bool Proxy::abort(std::string failure) {
  if (ending_) return false;
  aborted_ = true;
  if (exchange_) exchange_->record.failure = std::move(failure);
  return false;
}

void Proxy::end_exchange() {
  log(*exchange_);
  exchange_.reset();
  exchange_ended_.notify();
  arm();
}

void Proxy::log(Exchange& exchange) {
  auto& record = exchange.record;
  record.sent += exchange.request_way.bytes;
  record.received += exchange.answer_way.bytes;
  if (exchange.filter) record.usage = exchange.filter->usage();
  record.duration =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - exchange.begin);
  if (options_.record) options_.record(record);
}

// A WebSocket is passed on as it is, with what either side sent right behind the heads.
Task<> Proxy::tunnel() {
  CountedStream counted(guest_);
  FilteredStream upstream(*upstream_, upstream_in_->data(), exchange_->filter.get());
  auto sent = co_await upstream_->write_all(bytes_of(guest_in_.data()));
  if (sent) sent = co_await async::join(counted, upstream);
  if (!sent) guest_.reset();
  exchange_->record.sent += guest_in_.data().size() + counted.read_bytes();
  exchange_->record.received += counted.written_bytes();
}

Task<> Proxy::say_last_words() {
  upstream_.reset();
  const bool begun = exchange_ && exchange_->begun;
  if (begun && !exchange_->answered) {
    guest_.reset();
    co_return;
  }
  if (last_words_ && !begun) {
    const bool head = exchange_ && exchange_->place.head;
    const auto text = text_answer(last_words_->status, last_words_->reason, true, head);
    if (exchange_) exchange_->record.status = last_words_->status;
    if (exchange_ && last_words_->status != 403) exchange_->record.failure = last_words_->reason;
    auto written =
        co_await async::with_limit(options_.limits.linger_time, guest_.write_all(bytes_of(text)));
    if (!written) {
      guest_.reset();
      co_return;
    }
  }
  co_await linger(guest_, kLingerBytes, options_.limits.linger_time);
}

}  // namespace

Task<> proxy_http1(async::Stream& guest, std::span<const std::byte> received,
                   HttpProxyOptions options) {
  auto executor = co_await asio::this_coro::executor;
  // On the heap: GCC 12 takes a coroutine frame that holds it for a mismatched allocation.
  auto proxy = std::make_unique<Proxy>(executor, guest, received, std::move(options));
  co_await proxy->run();
}

}  // namespace capsem::host::net
