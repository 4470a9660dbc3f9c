#include "vsock/multiplexer.h"

#include <algorithm>
#include <boost/asio/post.hpp>
#include <boost/asio/steady_timer.hpp>
#include <string>
#include <utility>

#include "vsock/guest_stream.h"

namespace capsem::vsock {
namespace {

// Ports that connections of the host come from: far from any that is listened on.
constexpr std::uint32_t kFirstPort = 1U << 30;
constexpr std::uint32_t kLastPort = (1U << 31) - 1;

std::string name(std::uint32_t port) {
  return "vsock port " + std::to_string(port);
}

// What of `a` is left beside `b`; nothing of what there is less of.
Quota operator-(const Quota& a, const Quota& b) {
  return {.connections = a.connections - std::min(a.connections, b.connections),
          .receive_buffer_bytes =
              a.receive_buffer_bytes - std::min(a.receive_buffer_bytes, b.receive_buffer_bytes)};
}

}  // namespace

Multiplexer::Multiplexer(boost::asio::any_io_executor executor, const MultiplexerOptions& options,
                         std::function<void()> push_out, std::function<void(Error)> on_refused)
    : executor_(std::move(executor)),
      options_(options),
      push_out_(std::move(push_out)),
      on_refused_(std::move(on_refused)),
      last_port_(kFirstPort) {
  own_->quota = options_.host_reserve;
}

Multiplexer::~Multiplexer() {
  close("the vsock device was stopped");
}

Result<> Multiplexer::listen(std::uint32_t port, const Quota& quota, Handler handler,
                             Callers callers) {
  std::erase_if(services_, [](const auto& row) { return !row.second->in_use(); });
  const auto found = services_.find(port);
  if (found != services_.end() && found->second->handler) {
    return fail("listen on", name(port), "it is listened on already", "", ErrorKind::kInvalid);
  }
  if (Result<> good = check_quota(port, quota); !good) {
    return good;
  }
  std::shared_ptr<Service>& service = services_[port];
  if (!service) {
    service = std::make_shared<Service>();
  }
  service->quota = quota;
  service->callers = callers;
  service->handler = std::make_shared<Handler>(std::move(handler));
  return {};
}

Result<> Multiplexer::check_quota(std::uint32_t port, const Quota& quota) const {
  if (quota.connections == 0 ||
      quota.receive_buffer_bytes / quota.connections < Service::kMinShareBytes) {
    return fail("listen on", name(port), "its quota leaves a connection no receive buffer", "",
                ErrorKind::kInvalid);
  }
  Quota left = options_.limit - options_.host_reserve;
  for (const auto& [other, service] : services_) {
    if (other != port) {
      left = left - service->quota;
    }
  }
  if (quota.connections > left.connections ||
      quota.receive_buffer_bytes > left.receive_buffer_bytes) {
    return fail("listen on", name(port), "the quotas of all ports exceed the limit of the device",
                "", ErrorKind::kInvalid);
  }
  return {};
}

void Multiplexer::stop_listening(std::uint32_t port) {
  const auto found = services_.find(port);
  if (found != services_.end()) {
    found->second->handler.reset();
  }
}

void Multiplexer::stop_listening() {
  for (const auto& [port, service] : services_) {
    service->handler.reset();
  }
}

Task<Result<std::unique_ptr<Stream>>> Multiplexer::connect(std::uint32_t port,
                                                           std::chrono::milliseconds limit) {
  const std::string subject = name(port) + " of the guest";
  if (!open_) {
    co_return fail("connect to", subject, "the guest's vsock driver is not running", "",
                   ErrorKind::kClosed);
  }
  const std::shared_ptr<Connection> connection = add(own_, free_port(port), port);
  if (!connection) {
    co_return fail("connect to", subject, "too many connections of the host are open", "",
                   ErrorKind::kNoSpace);
  }
  // Made at once, so that a coroutine that is destroyed while it waits leaves no connection.
  std::unique_ptr<Stream> stream = std::make_unique<GuestStream>(connection);
  boost::asio::steady_timer timer(executor_, limit);
  timer.async_wait([weak = std::weak_ptr(connection)](const boost::system::error_code& cancelled) {
    const std::shared_ptr<Connection> late = weak.lock();
    if (!cancelled && late) {
      late->expire();
    }
  });
  connection->request();
  push_out_();
  Result<> established = co_await connection->established();
  if (!established) {
    co_return propagate(established);
  }
  co_return std::move(stream);
}

void Multiplexer::close(std::string_view reason) {
  open_ = false;
  resets_.clear();
  for (const auto& [ports, connection] : std::exchange(connections_, {})) {
    connection->abandon(reason);
  }
}

void Multiplexer::receive(const Header& header, SegmentReader payload, std::size_t available) {
  if (header.source_cid != options_.guest_cid) {
    return;  // nobody an answer could reach
  }
  const auto found = connections_.find(key(header.destination_port, header.source_port));
  if (header.destination_cid != kHostCid || header.type != kTypeStream) {
    return queue_reset(header);
  }
  if (found == connections_.end()) {
    return header.op == Op::kRequest ? accept(header) : queue_reset(header);
  }
  const std::shared_ptr<Connection> connection = found->second;
  if (header.payload_bytes > available || header.payload_bytes > kMaxPayloadBytes) {
    return connection->refuse("the guest sent a packet shorter than it claims");
  }
  connection->receive(header, payload);
}

void Multiplexer::accept(const Header& request) {
  const auto found = services_.find(request.destination_port);
  if (found == services_.end() || !found->second->handler) {
    return queue_reset(request);
  }
  Service& service = *found->second;
  if (service.callers == Callers::kRoot && request.source_port >= kFirstOrdinaryPort) {
    return queue_reset(request);
  }
  const std::shared_ptr<Connection> connection =
      add(found->second, request.destination_port, request.source_port);
  if (!connection) {
    return refuse(request, service);
  }
  connection->accept(request);
  // A handler called before may have stopped listening, or destroyed the device; then the stream
  // goes with this function, and the guest is told.
  boost::asio::post(executor_, [weak = std::weak_ptr(service.handler),
                                stream = std::make_unique<GuestStream>(connection)]() mutable {
    if (const std::shared_ptr<Handler> handler = weak.lock()) {
      (*handler)(std::move(stream));
    }
  });
}

void Multiplexer::refuse(const Header& request, Service& service) {
  queue_reset(request);
  const auto now = std::chrono::steady_clock::now();
  if (now >= service.quiet_until) {
    service.quiet_until = now + kQuiet;
    on_refused_(Error(
        "accept a connection on", name(request.destination_port),
        "its quota of " + std::to_string(service.quota.connections) + " connections is used up", "",
        ErrorKind::kNoSpace));
  }
}

std::shared_ptr<Connection> Multiplexer::add(const std::shared_ptr<Service>& service,
                                             std::uint32_t host_port, std::uint32_t guest_port) {
  const std::uint32_t bytes = service->take(options_.receive_bytes);
  if (bytes == 0) {
    return nullptr;
  }
  const Address address{
      .guest_cid = options_.guest_cid, .guest_port = guest_port, .host_port = host_port};
  auto connection = std::make_shared<Connection>(*this, address, service, bytes);
  connections_.emplace(key(host_port, guest_port), connection);
  return connection;
}

void Multiplexer::queue_reset(const Header& cause) {
  if (cause.op == Op::kReset) {
    return;  // a reset is never answered by one
  }
  resets_.push_back({.source_cid = cause.destination_cid,
                     .destination_cid = cause.source_cid,
                     .source_port = cause.destination_port,
                     .destination_port = cause.source_port,
                     .type = cause.type,
                     .op = Op::kReset});
}

bool Multiplexer::has_packet() {
  // A connection that ends leaves its service's queue by itself, but not the service this one.
  while (!data_.empty() && data_.front().has_data.empty()) {
    data_.pop_front();
  }
  return !resets_.empty() || !control_.empty() || !data_.empty();
}

Outgoing Multiplexer::next(std::size_t limit) {
  const bool control = !resets_.empty() || !control_.empty();
  if (!control || (!data_.empty() && control_in_a_row_ >= kMaxControlInARow)) {
    control_in_a_row_ = 0;
    return next_data(limit);
  }
  control_in_a_row_ = data_.empty() ? 0 : control_in_a_row_ + 1;
  return next_control();
}

// Resets of what was refused and packets of connections in turns, so that neither waits for the
// other's end.
Outgoing Multiplexer::next_control() {
  reset_before_ = !resets_.empty() && (control_.empty() || !reset_before_);
  if (reset_before_) {
    const Header reset = resets_.front();
    resets_.pop_front();
    return {reset, {}};
  }
  const std::shared_ptr<Connection> connection = control_.front().shared_from_this();
  control_.pop_front();
  const Header header = connection->take_control();
  output_changed(*connection);
  return {header, {}};
}

Outgoing Multiplexer::next_data(std::size_t limit) {
  Service& service = data_.front();
  data_.pop_front();
  Connection& connection = service.has_data.front();
  service.has_data.pop_front();
  if (!service.has_data.empty()) {
    data_.push_back(service);
  }
  const Outgoing packet = connection.take_data(limit);
  output_changed(connection);
  return packet;
}

void Multiplexer::output_changed(Connection& connection) {
  if (!connection.has_control()) {
    connection.control_hook.unlink();
  } else if (!connection.control_hook.is_linked()) {
    control_.push_back(connection);
  }
  Service& service = connection.service();
  if (!connection.has_data()) {
    connection.data_hook.unlink();
  } else if (!connection.data_hook.is_linked()) {
    service.has_data.push_back(connection);
    if (!service.data_hook.is_linked()) {
      data_.push_back(service);
    }
  }
}

void Multiplexer::forget(Connection& connection) {
  connections_.erase(key(connection.address().host_port, connection.address().guest_port));
}

std::uint64_t Multiplexer::key(std::uint32_t host_port, std::uint32_t guest_port) {
  return std::uint64_t{host_port} << 32 | guest_port;
}

std::uint32_t Multiplexer::free_port(std::uint32_t guest_port) {
  do {
    last_port_ = last_port_ == kLastPort ? kFirstPort : last_port_ + 1;
  } while (connections_.contains(key(last_port_, guest_port)));
  return last_port_;
}

}  // namespace capsem::vsock
