// A byte stream between the host and a guest, as the services above the vsock device see it.
// Everything runs on the event loop's one thread. A wait that is cancelled is an error as well;
// after that of a write, how much was written is unknown.
#pragma once

#include <cstddef>
#include <span>

#include "async/task.h"
#include "base/error.h"

namespace capsem::async {

class Stream {
 public:
  Stream() = default;
  Stream(const Stream&) = delete;
  Stream& operator=(const Stream&) = delete;
  // Resets the connection unless both directions were already finished. Not while a read or a
  // write is pending.
  virtual ~Stream() = default;

  // Waits for data and reads at most `buffer.size()` bytes of it; 0 means the peer has finished
  // sending. kClosed when the connection was reset. One read at a time.
  virtual Task<Result<std::size_t>> read_some(std::span<std::byte> buffer) = 0;

  // Writes all of `data`, waiting for credit as needed. kClosed when the peer no longer receives
  // or the connection was reset. One write at a time.
  virtual Task<Result<>> write_all(std::span<const std::byte> data) = 0;

  // No more data will be written; what was written before still arrives.
  virtual void shutdown_write() = 0;

  // Ends both directions at once; pending reads and writes return kClosed.
  virtual void reset() = 0;
};

}  // namespace capsem::async
