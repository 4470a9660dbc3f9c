#include "host/net/http2_exchanges.h"

#include <algorithm>
#include <utility>

namespace capsem::host::net {
namespace {

// RFC 9110, 9.2.1.
bool is_safe(std::string_view method) {
  return method == "GET" || method == "HEAD" || method == "OPTIONS";
}

// What a client has of a server's error; any other one says that there is no answer.
bool is_for_the_client(Http2Error error) {
  return error == Http2Error::kRefusedStream || error == Http2Error::kCancel ||
         error == Http2Error::kHttp11Required;
}

// How a side takes what is for it.
class Progress {
 public:
  using Clock = std::chrono::steady_clock;
  explicit Progress(std::int32_t window) : window_(window) {}

  void added(std::size_t waiting_before) {
    if (waiting_before == 0) since_ = Clock::now();
  }
  // The window that the other side is to have now, when it is another one than before.
  std::optional<std::int32_t> taken(std::size_t size, std::size_t waiting, std::int32_t widest) {
    since_ = Clock::now();
    taken_ += size;
    keeps_up_ = keeps_up_ || waiting == 0;
    if (taken_ < static_cast<std::size_t>(window_)) return std::nullopt;
    taken_ = 0;
    if (!std::exchange(keeps_up_, false) || window_ >= widest) return std::nullopt;
    window_ = std::min(window_ * 2, widest);
    return window_;
  }
  bool before(Clock::time_point since) const { return since_ < since; }
  bool stalled(std::size_t waiting, Clock::time_point since) const {
    return waiting > 0 && before(since);
  }

 private:
  Clock::time_point since_ = Clock::now();
  std::int32_t window_;
  std::size_t taken_ = 0;  // of one window
  bool keeps_up_ = false;  // nothing was left over meanwhile, for once
};

}  // namespace

struct Http2Exchanges::Exchange {
  explicit Exchange(std::int32_t window) : server_progress(window), guest_progress(window) {}

  std::int32_t guest = 0;
  std::optional<std::int32_t> server;
  RequestRecord record;
  Clock::time_point begin = Clock::now();
  std::optional<Http2Request> request;  // until it is passed on
  std::size_t head_bytes = 0;
  AnswerPlace place;
  std::shared_ptr<RequestUnderWay> under_way;
  std::unique_ptr<ExchangeFilter> filter;

  Http2Session::Body to_server = std::make_shared<Http2Outgoing>();
  Http2Session::Body to_guest = std::make_shared<Http2Outgoing>();
  Progress server_progress;
  Progress guest_progress;

  std::uint64_t dropped = 0;  // of a body that nobody reads

  bool judging = false;
  bool refused = false;  // the answer is ours
  bool request_ended = false;
  bool answer_begun = false;
  bool answer_ended = false;
  bool answer_sent = false;
  bool reset = false;  // by us
  bool guest_closed = false;
  bool server_closed = false;
};

Http2Exchanges::Http2Exchanges(const HttpProxyOptions& options, const Http2Limits& limits,
                               async::TaskGroup& tasks, Events events)
    : options_(options),
      limits_(limits),
      tasks_(tasks),
      events_(std::move(events)),
      resets_(limits.resets) {}

Http2Exchanges::~Http2Exchanges() {
  for (auto& [stream, exchange] : by_guest_) {
    if (exchange->record.failure.empty() && !exchange->answer_sent)
      exchange->record.failure = "the connection ended before it";
    log(*exchange);
  }
}

Http2Exchanges::ExchangePointer Http2Exchanges::find(const Exchanges& in, std::int32_t stream) {
  const auto found = in.find(stream);
  return found == in.end() ? nullptr : found->second;
}

// ---- from the guest

void Http2Exchanges::GuestSide::head(std::int32_t stream, Http2Block block, bool ends) {
  auto exchange = find(all_.by_guest_, stream);
  if (!exchange) return all_.begin(stream, std::move(block), ends);
  if (block.refusal.status != 0)
    return all_.reset(*exchange, Http2Error::kProtocol, std::move(block.refusal.reason));
  if (!all_.check_trailers(*exchange, block.fields)) return all_.events_.changed();
  exchange->to_server->trailers = plain_trailers(block.fields);
  all_.end_request(*exchange);
}

void Http2Exchanges::begin(std::int32_t stream, Http2Block block, bool ends) {
  // Those that are withdrawn while they are judged are kept until that has ended.
  if (by_guest_.size() >= std::size_t{limits_.streams} * 2 ||
      head_bytes_ + block.bytes > limits_.head_bytes) {
    return guest_->reset(stream, Http2Error::kRefusedStream);
  }
  auto exchange = std::make_shared<Exchange>(limits_.stream_window);
  by_guest_.emplace(stream, exchange);
  exchange->guest = stream;
  exchange->request_ended = exchange->to_server->ended = ends;
  exchange->record.begin = std::chrono::system_clock::now();
  exchange->record.protocol = "HTTP/2";
  exchange->record.method = block.method;
  exchange->record.host = block.authority;
  exchange->record.path = block.path;
  exchange->place = {.head = block.method == "HEAD", .upgrade = false, .version = 20};
  exchange->head_bytes = block.bytes;
  head_bytes_ += block.bytes;
  auto request = check_request(std::move(block), options_.place, limits_.head);
  if (!request) {
    exchange->record.failure = request.error().reason;
    return refuse(*exchange, request.error().status, request.error().reason);
  }
  exchange->record.method = request->plain.head.method;
  exchange->record.host = request->plain.authority.host;
  exchange->record.path = request->plain.target.sent;
  exchange->request = std::move(*request);
  exchange->judging = true;
  tasks_.spawn(judge(exchange));
}

Task<> Http2Exchanges::judge(ExchangePointer exchange) {
  auto judgement = co_await options_.judge(exchange->request->plain);
  exchange->judging = false;
  exchange->record.decision = judgement.decision;
  exchange->filter = std::move(judgement.filter);
  keep(exchange, std::move(judgement.under_way));
  const bool withdrawn = exchange->guest_closed || exchange->reset;
  if (!withdrawn && judgement.decision.verdict == Verdict::kDeny)
    refuse(*exchange, judgement.status, std::move(judgement.explanation));
  else if (!withdrawn && check_body(*exchange, exchange->to_server->waiting()) &&
           check_trailers(*exchange, exchange->to_server->trailers))
    pass_on(exchange);
  end_if_over(exchange);
  events_.changed();
}

void Http2Exchanges::keep(const ExchangePointer& exchange,
                          std::shared_ptr<RequestUnderWay> under_way) {
  if (!under_way) return;
  exchange->under_way = std::move(under_way);
  exchange->under_way->withdraw = [this, place = std::weak_ptr(exchange)] {
    if (auto found = place.lock()) reset(*found, Http2Error::kCancel, "no rule allows it any more");
    events_.changed();
  };
}

bool Http2Exchanges::check_body(Exchange& exchange, std::string_view piece) {
  return !exchange.filter || end_for(exchange, exchange.filter->request_body(piece));
}

bool Http2Exchanges::check_trailers(Exchange& exchange, const HttpFields& trailers) {
  return !exchange.filter || end_for(exchange, exchange.filter->request_trailers(trailers));
}

// The filter's doubts about what comes behind the head of a request end the request; false then.
bool Http2Exchanges::end_for(Exchange& exchange, std::optional<std::string> fault) {
  if (!fault) return true;
  exchange.record.decision.verdict = Verdict::kDeny;
  if (exchange.answer_begun) {
    reset(exchange, Http2Error::kCancel, std::move(*fault));
  } else {
    refuse(exchange, 403, std::move(*fault));
    if (exchange.server && !exchange.server_closed)
      server_->reset(*exchange.server, Http2Error::kCancel);
  }
  return false;
}

void Http2Exchanges::pass_on(const ExchangePointer& exchange) {
  if (server_ == nullptr) {
    if (no_server_.empty()) return reset(*exchange, Http2Error::kRefusedStream, "the server ended");
    exchange->record.failure = no_server_;
    return refuse(*exchange, 502, no_server_);
  }
  if (exchange->filter) exchange->filter->request(exchange->request->plain);
  const auto fields = exchange->request->fields();
  const bool has_body = !exchange->to_server->ended || exchange->to_server->size() > 0 ||
                        !exchange->to_server->trailers.all().empty();
  const auto stream = server_->send_request(fields, has_body ? exchange->to_server : nullptr);
  if (!stream) return reset(*exchange, Http2Error::kRefusedStream, "the server takes no more");
  exchange->server = stream;
  by_server_.emplace(*stream, exchange);
  forget_head(*exchange);
}

void Http2Exchanges::GuestSide::data(std::int32_t stream, std::string_view piece) {
  auto exchange = find(all_.by_guest_, stream);
  if (!exchange || exchange->refused || exchange->server_closed) {
    all_.guest_->give_back(stream, piece.size());
    if (exchange) exchange->dropped += piece.size();
    if (exchange) all_.stop_body(*exchange);
    return;
  }
  if (!all_.check_body(*exchange, piece)) {
    all_.guest_->give_back(stream, piece.size());
    return all_.events_.changed();
  }
  exchange->server_progress.added(exchange->to_server->size());
  exchange->to_server->add(piece);
  if (exchange->server) all_.server_->resume(*exchange->server);
  all_.events_.changed();
}

void Http2Exchanges::GuestSide::end(std::int32_t stream) {
  if (auto exchange = find(all_.by_guest_, stream)) all_.end_request(*exchange);
}

void Http2Exchanges::end_request(Exchange& exchange) {
  exchange.request_ended = exchange.to_server->ended = true;
  if (exchange.server && !exchange.server_closed) server_->resume(*exchange.server);
  events_.changed();
}

void Http2Exchanges::GuestSide::closed(std::int32_t stream, Http2Error error) {
  auto exchange = find(all_.by_guest_, stream);
  // With NO_ERROR too, before it has its answer.
  const bool withdrawn = error != Http2Error::kNone || (exchange && !exchange->answer_sent);
  // Who makes us reset streams has begun them all the same.
  if (withdrawn && !(exchange && exchange->reset) && !all_.resets_.take(Clock::now())) {
    all_.too_many_resets_ = true;
  }
  if (!exchange) return all_.log_malformed(error);
  exchange->guest_closed = true;
  if (!exchange->answer_sent && exchange->record.failure.empty())
    exchange->record.failure = "the client withdrew it: " + text_of(error);
  auto dropped = exchange->to_guest->drop();
  if (exchange->filter) dropped += exchange->filter->answer_end().size();
  if (dropped > 0 && exchange->server && !exchange->refused && all_.server_ != nullptr)
    all_.server_->give_back(*exchange->server, dropped);
  if (exchange->server && !exchange->server_closed) {
    // A server may answer first and read the rest of the body then.
    if (withdrawn || !exchange->request_ended)
      all_.server_->reset(*exchange->server,
                          error == Http2Error::kNone ? Http2Error::kCancel : error);
  }
  all_.end_if_over(exchange);
  all_.events_.changed();
}

// A head that nghttp2 did not let through.
void Http2Exchanges::log_malformed(Http2Error error) {
  if (error != Http2Error::kProtocol) return;
  Exchange refused(0);
  refused.record.begin = std::chrono::system_clock::now();
  refused.record.protocol = "HTTP/2";
  refused.record.failure = "its head is malformed";
  log(refused);
}

void Http2Exchanges::GuestSide::taken(std::int32_t stream, std::size_t size) {
  auto exchange = find(all_.by_guest_, stream);
  if (!exchange) return;
  const auto wider = exchange->guest_progress.taken(size, exchange->to_guest->size(),
                                                    all_.limits_.widest_stream_window);
  if (exchange->refused) return;
  exchange->record.received += size;
  if (all_.server_ != nullptr && exchange->server) {
    all_.server_->give_back(*exchange->server, size);
    if (wider) all_.server_->widen(*exchange->server, *wider);
  }
  all_.events_.changed();
}

void Http2Exchanges::GuestSide::sent_all(std::int32_t stream) {
  auto exchange = find(all_.by_guest_, stream);
  if (!exchange) return;
  exchange->answer_sent = true;
  all_.stop_body(*exchange);
}

// RFC 9113, 8.1: a client need not send what nobody reads. The rest of a small body is dropped, as
// some clients (curl 7.88) take an answer that a reset follows at once for none.
void Http2Exchanges::stop_body(Exchange& exchange) {
  if (!exchange.answer_sent || exchange.dropped <= options_.limits.dropped_bytes) return;
  exchange.reset = true;
  guest_->reset(exchange.guest, Http2Error::kNone);
}

// ---- from the server

void Http2Exchanges::ServerSide::head(std::int32_t stream, Http2Block block, bool ends) {
  auto exchange = find(all_.by_server_, stream);
  if (!exchange || exchange->refused) return;
  if (exchange->answer_begun) {
    if (block.refusal.status != 0)
      return all_.reset(*exchange, Http2Error::kProtocol, std::move(block.refusal.reason));
    exchange->to_guest->trailers = plain_trailers(block.fields);
    if (exchange->filter) exchange->filter->answer_trailers(exchange->to_guest->trailers);
    return all_.end_answer(*exchange);
  }
  auto answer = check_answer(std::move(block), exchange->place);
  if (answer) return all_.pass_back(*exchange, *answer, ends);
  all_.server_->reset(stream, Http2Error::kProtocol);
  all_.close_server(exchange, Http2Error::kProtocol, answer.error().reason);
}

void Http2Exchanges::pass_back(Exchange& exchange, PlainAnswer& answer, bool ends) {
  if (exchange.guest_closed) return;
  if (exchange.filter) exchange.filter->answer(answer.head);
  if (answer.head.status / 100 == 1) {
    guest_->send_interim(exchange.guest, fields_of(answer));
    return events_.changed();
  }
  exchange.answer_begun = has_answered_ = true;
  exchange.answer_ended = exchange.to_guest->ended = ends;
  exchange.record.status = answer.head.status;
  if (!guest_->send_answer(exchange.guest, fields_of(answer), ends ? nullptr : exchange.to_guest))
    reset(exchange, Http2Error::kInternal, "it cannot be answered");
  events_.changed();
}

void Http2Exchanges::pass_back(Exchange& exchange, std::string_view piece) {
  if (exchange.filter) piece = exchange.filter->answer_body(piece);
  if (piece.empty()) return;
  exchange.guest_progress.added(exchange.to_guest->size());
  exchange.to_guest->add(piece);
  guest_->resume(exchange.guest);
  events_.changed();
}

void Http2Exchanges::ServerSide::data(std::int32_t stream, std::string_view piece) {
  auto exchange = find(all_.by_server_, stream);
  if (!exchange || exchange->refused || exchange->guest_closed)
    return all_.server_->give_back(stream, piece.size());
  all_.pass_back(*exchange, piece);
}

void Http2Exchanges::ServerSide::end(std::int32_t stream) {
  auto exchange = find(all_.by_server_, stream);
  if (exchange && !exchange->refused) all_.end_answer(*exchange);
}

void Http2Exchanges::end_answer(Exchange& exchange) {
  if (exchange.filter && !exchange.answer_ended)
    exchange.to_guest->add(exchange.filter->answer_end());
  exchange.answer_ended = exchange.to_guest->ended = true;
  guest_->resume(exchange.guest);
  events_.changed();
}

void Http2Exchanges::ServerSide::closed(std::int32_t stream, Http2Error error) {
  if (auto exchange = find(all_.by_server_, stream))
    all_.close_server(exchange, error, text_of(error));
}

void Http2Exchanges::close_server(const ExchangePointer& exchange, Http2Error error,
                                  const std::string& reason) {
  if (std::exchange(exchange->server_closed, true)) return;
  by_server_.erase(*exchange->server);
  drop_request_body(*exchange);
  const bool cut = !exchange->answer_ended && !exchange->refused && !exchange->guest_closed;
  if (cut && !exchange->answer_begun && !is_for_the_client(error)) {
    auto text = "the server '" + options_.place.host + "' gave no answer: " + reason;
    exchange->record.failure = text;
    refuse(*exchange, 502, std::move(text));
  } else if (cut) {
    reset(*exchange, error == Http2Error::kNone ? Http2Error::kInternal : error, reason);
  }
  end_if_over(exchange);
  events_.changed();
}

void Http2Exchanges::ServerSide::taken(std::int32_t stream, std::size_t size) {
  auto exchange = find(all_.by_server_, stream);
  if (!exchange) return;
  const auto wider = exchange->server_progress.taken(size, exchange->to_server->size(),
                                                     all_.limits_.widest_stream_window);
  exchange->record.sent += size;
  all_.guest_->give_back(exchange->guest, size);
  if (wider) all_.guest_->widen(exchange->guest, *wider);
  all_.events_.changed();
}

// ---- both

void Http2Exchanges::refuse(Exchange& exchange, unsigned status, std::string reason) {
  exchange.refused = true;
  drop_request_body(exchange);
  forget_head(exchange);
  if (exchange.guest_closed) return;
  exchange.record.status = status;
  reason += "\n";
  if (!exchange.place.head) exchange.to_guest->add(reason);
  exchange.to_guest->ended = true;
  if (!guest_->send_answer(exchange.guest, text_answer(status, reason.size()),
                           exchange.place.head ? nullptr : exchange.to_guest)) {
    reset(exchange, Http2Error::kInternal, "it cannot be answered");
  }
}

// On both sides.
void Http2Exchanges::reset(Exchange& exchange, Http2Error error, std::string failure) {
  exchange.reset = true;
  if (exchange.record.failure.empty()) exchange.record.failure = std::move(failure);
  if (!exchange.guest_closed) guest_->reset(exchange.guest, error);
  if (exchange.server && !exchange.server_closed) server_->reset(*exchange.server, error);
}

void Http2Exchanges::drop_request_body(Exchange& exchange) {
  if (const auto dropped = exchange.to_server->drop(); dropped > 0)
    guest_->give_back(exchange.guest, dropped);
}

void Http2Exchanges::forget_head(Exchange& exchange) {
  head_bytes_ -= std::exchange(exchange.head_bytes, 0);
  exchange.request.reset();
}

void Http2Exchanges::end_if_over(const ExchangePointer& exchange) {
  const bool server_over = !exchange->server || exchange->server_closed;
  if (!exchange->guest_closed || !server_over || exchange->judging) return;
  forget_head(*exchange);
  if (by_guest_.erase(exchange->guest) > 0) log(*exchange);
}

void Http2Exchanges::log(Exchange& exchange) {
  // Nothing can be withdrawn of it any more.
  if (exchange.under_way) exchange.under_way->withdraw = [] {};
  exchange.record.duration =
      std::chrono::duration_cast<std::chrono::microseconds>(Clock::now() - exchange.begin);
  if (exchange.filter) exchange.record.usage = exchange.filter->usage();
  if (options_.record) options_.record(exchange.record);
}

void Http2Exchanges::no_server(std::string reason) {
  no_server_ = std::move(reason);
}

void Http2Exchanges::lose_server(const std::string& reason) {
  const auto all = by_server_;
  for (const auto& [stream, exchange] : all) {
    // As of HTTP/1.1: a connection that was of use before may end at any time, and who asked for
    // what may be asked again does so.
    const bool again = has_answered_ && is_safe(exchange->record.method);
    close_server(exchange, again ? Http2Error::kRefusedStream : Http2Error::kInternal, reason);
  }
  server_ = nullptr;
}

void Http2Exchanges::fail_all(const std::string& reason) {
  for (auto& [stream, exchange] : by_guest_)
    if (!exchange->answer_sent && exchange->record.failure.empty())
      exchange->record.failure = reason;
}

void Http2Exchanges::reset_stalled(Clock::time_point since) {
  for (auto& [stream, exchange] : by_guest_) {
    // Also of those whose client has its answer and does not end.
    const bool answered = exchange->answer_sent && (exchange->refused || exchange->server_closed);
    const bool guest = exchange->guest_progress.stalled(exchange->to_guest->size(), since) ||
                       (answered && exchange->guest_progress.before(since));
    const bool server = exchange->server_progress.stalled(exchange->to_server->size(), since);
    if ((guest || server) && !exchange->judging)
      reset(*exchange, Http2Error::kCancel,
            guest ? "the client does not take the answer" : "the server does not take the body");
  }
}

}  // namespace capsem::host::net
