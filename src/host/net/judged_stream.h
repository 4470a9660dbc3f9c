// A guest's stream whose server was let to speak first: what the client says then is judged before
// the server gets any of it.
#pragma once

#include <functional>
#include <optional>

#include "async/stream.h"
#include "host/net/opening.h"

namespace capsem::host::net {

class JudgedStream final : public async::Stream {
 public:
  // Whether the server may have what the client begins with.
  using Judge = std::function<bool(const Opening& opening)>;

  // `below` has to outlive it, and is not reset by its end.
  JudgedStream(async::Stream& below, Judge judge) : below_(below), judge_(std::move(judge)) {}

  // What the client said, where the server may not have it: the stream below is left as it is then,
  // unless the server has spoken.
  std::optional<Opening>& refused() { return refused_; }
  // The client has had something of the server, if only its end.
  bool answered() const { return answered_; }

  Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) override;
  Task<Result<>> write_all(std::span<const std::byte> data) override;
  void shutdown_write() override;
  void reset() override;

 private:
  Task<Result<>> read_opening();

  async::Stream& below_;
  Judge judge_;
  bool judged_ = false;
  bool ended_ = false;
  std::vector<std::byte> unread_;  // of the opening
  std::optional<Opening> refused_;
  bool answered_ = false;
};

}  // namespace capsem::host::net
