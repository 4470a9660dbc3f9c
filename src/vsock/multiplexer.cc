#include "vsock/multiplexer.h"

#include <boost/asio/post.hpp>
#include <string>
#include <utility>

#include "vsock/guest_stream.h"

namespace capsem::vsock {
namespace {

// Ports that connections of the host come from: far from any that is listened on.
constexpr std::uint32_t kFirstPort = 1U << 30;
constexpr std::uint32_t kLastPort = (1U << 31) - 1;

}  // namespace

Multiplexer::Multiplexer(boost::asio::any_io_executor executor, const MultiplexerOptions& options,
                         std::function<void()> push_out)
    : executor_(std::move(executor)),
      options_(options),
      push_out_(std::move(push_out)),
      last_port_(kFirstPort) {}

Multiplexer::~Multiplexer() {
  close("the vsock device was stopped");
}

Result<> Multiplexer::listen(std::uint32_t port, Handler handler) {
  const auto [place, added] =
      listeners_.try_emplace(port, std::make_shared<Handler>(std::move(handler)));
  if (!added) {
    return fail("listen on", "vsock port " + std::to_string(place->first),
                "it is listened on already", "", ErrorKind::kInvalid);
  }
  return {};
}

Task<Result<std::unique_ptr<Stream>>> Multiplexer::connect(std::uint32_t port) {
  const char* refusal = nullptr;
  if (!open_) {
    refusal = "the guest's vsock driver is not running";
  } else if (connections_.size() >= options_.max_connections) {
    refusal = "too many connections are open";
  }
  if (refusal != nullptr) {
    co_return fail("connect to", "vsock port " + std::to_string(port) + " of the guest", refusal,
                   "", ErrorKind::kClosed);
  }
  const std::shared_ptr<Connection> connection = add(free_port(port), port);
  // Made at once, so that a coroutine that is destroyed while it waits leaves no connection.
  std::unique_ptr<Stream> stream = std::make_unique<GuestStream>(connection);
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
  promised_bytes_ = 0;
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
  const auto listener = listeners_.find(request.destination_port);
  if (listener == listeners_.end() || connections_.size() >= options_.max_connections) {
    return queue_reset(request);
  }
  const std::shared_ptr<Connection> connection = add(request.destination_port, request.source_port);
  connection->accept(request);
  boost::asio::post(executor_, [handler = listener->second,
                                stream = std::make_unique<GuestStream>(connection)]() mutable {
    (*handler)(std::move(stream));
  });
}

std::shared_ptr<Connection> Multiplexer::add(std::uint32_t host_port, std::uint32_t guest_port) {
  const bool small = promised_bytes_ + options_.receive_bytes > kReceiveBudgetBytes;
  const std::uint32_t bytes =
      small ? std::min(kSmallReceiveBytes, options_.receive_bytes) : options_.receive_bytes;
  const Address address{
      .guest_cid = options_.guest_cid, .guest_port = guest_port, .host_port = host_port};
  auto connection = std::make_shared<Connection>(*this, address, bytes);
  promised_bytes_ += bytes;
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

Outgoing Multiplexer::next(std::size_t limit) {
  if (!resets_.empty()) {
    const Header reset = resets_.front();
    resets_.pop_front();
    return {reset, {}};
  }
  if (!control_.empty()) {
    const std::shared_ptr<Connection> connection = control_.front().shared_from_this();
    control_.pop_front();
    const Header header = connection->take_control();
    output_changed(*connection);
    return {header, {}};
  }
  Connection& connection = data_.front();
  data_.pop_front();
  const Outgoing packet = connection.take_data(limit);
  output_changed(connection);
  return packet;
}

void Multiplexer::output_changed(Connection& connection) {
  const auto place = [&](auto& queue, auto& hook, bool wanted) {
    if (wanted && !hook.is_linked()) {
      queue.push_back(connection);
    } else if (!wanted) {
      hook.unlink();
    }
  };
  place(control_, connection.control_hook, connection.has_control());
  place(data_, connection.data_hook, connection.has_data());
}

void Multiplexer::forget(Connection& connection) {
  promised_bytes_ -= connection.receive_bytes();
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
