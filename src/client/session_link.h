// The messages of a session, to and from the guest. Over one stream; or over several, one after the
// other, for a session that outlives its connection: what was lost with a stream is sent again over
// the next, see capsem.proto.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <chrono>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "async/event.h"
#include "async/stream.h"
#include "async/task.h"
#include "base/error.h"
#include "wire/frame.h"
#include "wire/messages.h"
#include "wire/sent_messages.h"

namespace capsem::client {

// Opens another stream to the same agent. kClosed when there is none to be had any more; after any
// other error it is called again.
using Reopen = std::function<Task<Result<std::unique_ptr<async::Stream>>>()>;

// The next message of `stream`, which `decoder` has read so far. kInvalid when it is none, another
// kind when the stream has ended.
Task<Result<wire::GuestSession>> receive_message(async::Stream& stream,
                                                 wire::MessageDecoder<wire::GuestSession>& decoder);

class SessionLink {
 public:
  SessionLink(const boost::asio::any_io_executor& executor, async::Stream& stream)
      : executor_(executor), stream_(&stream), pause_(executor) {}

  // The first message. A session whose `reopen` is not null goes on without a connection for
  // start.outlive_ms, and gets a random id.
  Result<> start(wire::SessionStart start, Reopen reopen);

  // Instead of start(): goes on with a detachable session, which then outlives its connection for
  // `outlive`. Nothing else is sent before the guest has answered.
  Result<> attach(wire::SessionAttach attach, std::chrono::milliseconds outlive, Reopen reopen);

  // Empty when the session ends with its connection.
  const std::string& id() const { return id_; }

  // Sends a message behind those before. One over its limit is an error (kInvalid), and nothing of
  // it is sent; so is one too many of those that the guest does not confirm. What is put in is
  // bounded by the session: standard input by its credit.
  Result<> put(const wire::HostSession& message);

  // Writes what is put in until stop(). When the guest no longer takes anything and the session
  // does not go on, what is put in is dropped: the guest's last messages are still to be read and
  // say more than this error would.
  Task<> run();

  // Waits until all that was put in is written, or a second has passed.
  Task<> flush();

  // The next message. kInvalid when the guest breaks the protocol; kClosed when the connection, and
  // every one that was tried instead, has ended.
  Task<Result<wire::GuestSession>> next();

  // Ends all waits and resets the stream.
  void stop();

 private:
  // A stream on which the guest goes on, what has been read of it, and how many of the session's
  // messages the guest has received.
  struct Resumed {
    std::unique_ptr<async::Stream> stream;
    wire::MessageDecoder<wire::GuestSession> decoder;
    std::uint64_t received;
  };

  bool outlives() const { return static_cast<bool>(reopen_); }
  Task<> confirm_received(bool last);
  Task<Result<>> resume(Error lost);
  Task<Result<Resumed>> try_for(std::chrono::milliseconds limit);
  Task<Result<Resumed>> try_stream();
  Result<> go_on_over(Resumed next);

  boost::asio::any_io_executor executor_;
  async::Stream* stream_;
  std::unique_ptr<async::Stream> reopened_;  // the owner of stream_ when that is not the first

  wire::MessageDecoder<wire::GuestSession> decoder_;
  async::Event work_;     // for run()
  async::Event idle_;     // for who waits for run() to have written
  async::Event flushed_;  // the same for flush()
  std::string waiting_;
  bool writing_ = false;
  bool refused_ = false;  // the stream takes no more
  bool held_ = false;     // nothing is sent before the guest has answered
  bool stopped_ = false;

  // Of a session that outlives its connection.
  Reopen reopen_;
  std::string id_;
  std::chrono::milliseconds outlive_{0};
  wire::SentMessages kept_;
  std::uint64_t received_ = 0;         // messages that count
  bool known_ = false;                 // the guest has heard of the session, or we of it
  std::uint32_t attachment_ = 0;       // as the guest counts them
  std::uint64_t confirmed_bytes_ = 0;  // of decoder_.bytes(), when the guest was last told
  bool confirmation_due_ = false;
  boost::asio::steady_timer pause_;  // of a try, and between two
};

}  // namespace capsem::client
