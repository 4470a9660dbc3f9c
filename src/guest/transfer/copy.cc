#include "guest/transfer/copy.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/uio.h>

#include <array>
#include <cerrno>
#include <limits>
#include <string>

#include "base/stream.h"
#include "tar/pack.h"
#include "tar/place.h"
#include "tar/unpack.h"
#include "wire/exact.h"

namespace capsem::guest::transfer {
namespace {

const std::string kHost = "the host";

Result<> send_piece(const Fd& connection, std::span<const std::byte> bytes) {
  auto prefix = wire::prefix_of(static_cast<std::uint32_t>(bytes.size()));
  // The two in one packet where there is room.
  std::array<iovec, 2> parts = {iovec{prefix.data(), prefix.size()},
                                iovec{const_cast<std::byte*>(bytes.data()), bytes.size()}};
  msghdr message{};
  message.msg_iov = parts.data();
  message.msg_iovlen = parts.size();
  ssize_t n = 0;
  do n = ::sendmsg(connection.get(), &message, MSG_NOSIGNAL);
  while (n < 0 && errno == EINTR);
  if (n < 0) return fail_system("write to", kHost, errno);
  auto sent = static_cast<std::size_t>(n);
  if (sent < prefix.size()) {
    auto rest = std::as_bytes(std::span(prefix)).subspan(sent);
    if (auto written = write_full(connection, rest, kHost); !written) return written;
    sent = prefix.size();
  }
  return write_full(connection, bytes.subspan(sent - prefix.size()), kHost);
}

// Of a file, for who shows how far a copy is; 0 of anything else.
std::uint64_t file_bytes(const tar::Place& place) {
  struct stat status{};
  bool is_file =
      !place.name.empty() &&
      ::fstatat(place.directory.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISREG(status.st_mode);
  return is_file ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

Result<wire::TransferDone> copy_in(const Fd& connection, const wire::CopyIn& request) {
  auto target = tar::target_of(request.path, request.name);
  if (!target) return propagate(target);
  if (auto said =
          wire::write_message(connection, wire::GuestTransfer(wire::TransferReady{}), kHost);
      !said)
    return propagate(said);
  FileInput input(connection, kHost);
  tar::Reader reader(input, "what the host sends");
  auto unpacked = tar::unpack(
      reader, *target, {.name = request.name, .owners = request.keep_owners, .set_id = true});
  if (!unpacked) return propagate(unpacked);
  // What fills an archive up behind its end, too, before the host is told that all is done.
  auto rest = input.skip(std::numeric_limits<std::uint64_t>::max());
  if (!rest) return propagate(rest);
  return wire::TransferDone{.left_out = unpacked->left_out};
}

Result<wire::TransferDone> copy_out(const Fd& connection, const wire::CopyOut& request) {
  auto source = tar::source_of(request.path);
  if (!source) return propagate(source);
  const wire::TransferReady ready{.bytes = file_bytes(*source)};
  if (auto said = wire::write_message(connection, wire::GuestTransfer(ready), kHost); !said)
    return propagate(said);
  tar::Writer writer(
      [&](std::span<const std::byte> bytes) { return send_piece(connection, bytes); });
  auto packed = tar::pack(*source, {.name = request.name, .owners = true}, writer);
  auto ended = send_piece(connection, {});
  if (!packed) return propagate(packed);
  if (!ended) return propagate(ended);
  return wire::TransferDone{.left_out = packed->left_out};
}

}  // namespace capsem::guest::transfer
