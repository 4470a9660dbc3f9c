// A connection over which files are copied, for code that waits: for the guest, for a stream of the
// user's, and always for the signals that end it.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <optional>
#include <span>

#include "base/error.h"
#include "base/fd.h"
#include "base/signals.h"
#include "base/stream.h"
#include "wire/messages.h"

namespace capsem::client {

class CopyLink {
 public:
  // `signals` has to outlive this.
  CopyLink(Fd socket, HeldSignals& signals) : socket_(std::move(socket)), signals_(signals) {}

  // Sends the request; the guest's own words when it cannot.
  Result<wire::TransferReady> begin(const wire::HostTransfer& request);

  // Reads until `buffer` is full. kClosed when the guest ends before.
  Result<> read(std::span<std::byte> buffer);

  // Writes all, unless the guest says something meanwhile: it has failed then, and the error is
  // what it says.
  Result<> write(std::span<const std::byte> bytes);

  // Ends our direction and waits for the guest's last word.
  Result<wire::TransferDone> finish();
  // Only waits for it.
  Result<wire::TransferDone> last_word();

  // The same for a descriptor of the user's, which stays as it is: reads what there is, 0 at its
  // end; writes all.
  Result<std::size_t> read_from(int fd, std::span<std::byte> buffer, const std::string& name);
  Result<> write_to(int fd, std::span<const std::byte> bytes, const std::string& name);

 private:
  Result<> wait(int fd, short events, bool guest_may_speak);
  Result<wire::GuestTransfer> receive();

  Fd socket_;
  HeldSignals& signals_;
};

// The archive of CopyOut, out of its pieces (capsem.proto).
class PiecesInput final : public BufferedInput {
 public:
  explicit PiecesInput(CopyLink& link);

  // Whether the last piece has come.
  bool ended() const { return ended_; }
  // Passes over what is left. An error when that is more than an archive has behind its end.
  Result<> skip_to_end();

 private:
  Result<std::size_t> produce(std::span<std::byte> room) override;

  CopyLink& link_;
  std::uint32_t left_ = 0;  // of the piece
  bool ended_ = false;
};

}  // namespace capsem::client
