// A hostile guest: anything in the rings and in the packets, while streams are used on the host.
#include <fuzzer/FuzzedDataProvider.h>

#include <algorithm>
#include <array>
#include <boost/asio/co_spawn.hpp>
#include <cstdint>
#include <exception>
#include <string>

#include "fuzz/vsock_front_end.h"
#include "vsock/packet.h"

namespace capsem::vsock {
namespace {

constexpr std::uint64_t kBuffers = 2 * FuzzFrontEnd::kRingBytes;  // behind the rings
constexpr std::uint64_t kFeatureChoices[] = {0, 1ULL << 28, 1ULL << 29, 3ULL << 28};
constexpr std::size_t kMaxActions = 64;

// The end of a coroutine: an exception is a crash.
void rethrow(std::exception_ptr failed) {
  if (failed) {
    std::rethrow_exception(failed);
  }
}

struct Descriptor {
  std::uint64_t address;
  std::uint32_t length;
  std::uint16_t flags;
  std::uint16_t next;
};

class Guest {
 public:
  Guest(FuzzedDataProvider& input, FuzzFrontEnd& front_end)
      : input_(input), front_end_(front_end) {}

  void act() {
    switch (input_.ConsumeIntegralInRange(0, 8)) {
      case 0:
        return write_raw();
      case 1:
        return add_chain(0);
      case 2:
        return add_chain(1);
      case 3:
      case 4:
        return send_packet();
      case 5:
        return post_buffer();
      case 6:
        return use_stream();
      case 7:
        return set_index();
      default:
        return connect();
    }
  }

 private:
  void put(std::uint64_t offset, std::span<const std::byte> bytes) {
    const auto memory = front_end_.memory();
    if (offset < memory.size()) {
      const std::size_t size = std::min<std::size_t>(bytes.size(), memory.size() - offset);
      std::ranges::copy(bytes.first(size), memory.subspan(offset).begin());
    }
  }

  template <class T>
  void put_value(std::uint64_t offset, const T& value) {
    put(offset, std::as_bytes(std::span(&value, 1)));
  }

  void write_raw() {
    const auto offset = input_.ConsumeIntegralInRange<std::uint64_t>(0, kBuffers + 4096);
    const auto bytes = input_.ConsumeBytes<std::byte>(input_.ConsumeIntegralInRange(0, 64));
    put(offset, bytes);
  }

  void make_available(std::size_t ring, std::uint16_t head) {
    const std::uint64_t start = ring * FuzzFrontEnd::kRingBytes + FuzzFrontEnd::kAvailable;
    put_value(start + 4 + available_[ring] % FuzzFrontEnd::kRingSize * 2, head);
    put_value(start + 2, ++available_[ring]);
    front_end_.kick(ring);
    front_end_.run();
  }

  void put_descriptor(std::size_t ring, std::uint16_t index, const Descriptor& descriptor) {
    put_value(ring * FuzzFrontEnd::kRingBytes + index * sizeof descriptor, descriptor);
  }

  void add_chain(std::size_t ring) {
    const auto count = input_.ConsumeIntegralInRange<std::uint16_t>(1, 4);
    for (std::uint16_t i = 0; i < count; ++i) {
      put_descriptor(
          ring, i,
          {input_.ConsumeIntegralInRange<std::uint64_t>(0, FuzzFrontEnd::kMemoryBytes + 64),
           input_.ConsumeIntegralInRange<std::uint32_t>(0, 70'000),
           input_.ConsumeIntegral<std::uint8_t>(),
           input_.ConsumeIntegralInRange<std::uint16_t>(0, 17)});
    }
    make_available(ring, input_.ConsumeIntegralInRange<std::uint16_t>(0, 17));
  }

  // A chain that is in order, with any header.
  void send_packet() {
    constexpr std::uint32_t kPorts[] = {1, 2, FuzzFrontEnd::kPort, (1U << 30) + 1};
    const std::string payload = input_.ConsumeRandomLengthString(256);
    Header header;
    header.source_cid = input_.ConsumeProbability<float>() > 0.05F ? 3 : 4;
    header.destination_cid = input_.ConsumeProbability<float>() > 0.05F ? kHostCid : 9;
    header.source_port = input_.PickValueInArray(kPorts);
    header.destination_port = input_.PickValueInArray(kPorts);
    header.payload_bytes = input_.ConsumeBool() ? static_cast<std::uint32_t>(payload.size())
                                                : input_.ConsumeIntegral<std::uint32_t>();
    header.type = input_.ConsumeProbability<float>() > 0.05F ? kTypeStream : 2;
    header.op = Op{input_.ConsumeIntegralInRange<std::uint16_t>(0, 9)};
    header.flags = input_.ConsumeIntegralInRange<std::uint32_t>(0, 4);
    header.buffer_bytes = input_.ConsumeIntegral<std::uint32_t>();
    header.forwarded_bytes = input_.ConsumeIntegralInRange<std::uint32_t>(0, 600);
    put(kBuffers, encode(header));
    put(kBuffers + kHeaderBytes, as_bytes(payload));
    const auto size = static_cast<std::uint32_t>(kHeaderBytes + payload.size());
    put_descriptor(1, 0, {kBuffers, size, 0, 0});
    make_available(1, 0);
  }

  void post_buffer() {
    put_descriptor(0, 0, {kBuffers + 8192, 4140, 2, 0});
    make_available(0, 0);
  }

  void set_index() {
    const std::size_t ring = input_.ConsumeBool() ? 1 : 0;
    available_[ring] = input_.ConsumeIntegral<std::uint16_t>();
    make_available(ring, 0);
  }

  static Task<> read(Stream& stream) {
    std::array<std::byte, 100> buffer{};
    for (;;) {
      const Result<std::size_t> size = co_await stream.read_some(buffer);
      if (!size || *size == 0) {
        co_return;
      }
    }
  }

  static Task<> write(Stream& stream, std::string data) {
    const Result<> written = co_await stream.write_all(as_bytes(data));
    static_cast<void>(written);
  }

  Task<> connect_once() {
    Result<std::unique_ptr<Stream>> stream = co_await front_end_.device().connect(1);
    if (stream) {
      front_end_.streams().push_back(*std::move(stream));
    }
  }

  void connect() {
    boost::asio::co_spawn(front_end_.context(), connect_once(), rethrow);
    front_end_.run();
  }

  void use_stream() {
    auto& streams = front_end_.streams();
    if (streams.empty()) {
      return;
    }
    const auto index = input_.ConsumeIntegralInRange<std::size_t>(0, streams.size() - 1);
    Stream& stream = *streams[index];
    switch (input_.ConsumeIntegralInRange(0, 4)) {
      case 0:
        boost::asio::co_spawn(front_end_.context(), read(stream), rethrow);
        break;
      case 1:
        boost::asio::co_spawn(front_end_.context(), write(stream, std::string(9000, 'x')), rethrow);
        break;
      case 2:
        stream.shutdown_write();
        break;
      case 3:
        stream.reset();
        break;
      default:
        // Its operations end before it goes, as its users have it.
        stream.reset();
        front_end_.run();
        streams.erase(streams.begin() + static_cast<std::ptrdiff_t>(index));
    }
    front_end_.run();
  }

  FuzzedDataProvider& input_;
  FuzzFrontEnd& front_end_;
  std::uint16_t available_[2] = {0, 0};
};

}  // namespace
}  // namespace capsem::vsock

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  using namespace capsem::vsock;  // NOLINT(google-build-using-namespace)
  FuzzedDataProvider input(data, size);
  FuzzFrontEnd front_end;
  front_end.set_up(1ULL << 32 | 1ULL << 30 | input.PickValueInArray(kFeatureChoices));
  Guest guest(input, front_end);
  for (std::size_t i = 0; i < kMaxActions && input.remaining_bytes() > 0; ++i) {
    guest.act();
  }
  for (const auto& stream : front_end.streams()) {
    stream->reset();
  }
  front_end.run();
  return 0;
}
