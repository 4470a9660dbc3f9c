// Moves bytes between a running command and the host until both are through.
//
// The end: when the command has ended, everything it wrote before is sent, then its status. If a
// process it left in the background still holds its pipes, as in `sleep 1000 & echo hi`, the
// session does not wait for that one: it ends once the pipes have been silent for kQuiet, which
// lets a last `tee` of `exec > >(tee log)` finish, or kLinger after the command at the latest. On a
// terminal it ends at once, and processes left in the background go on running. With pipes, a
// session that something still holds at its end is killed with all its processes, for nobody reads
// what they write; who means to leave one running gives it an output of its own.
//
// A session that outlives its connection goes on without one for as long as the host said, until
// its output is kUnsentBytes ahead of the host. It is over when the host has received all of it.
// One that is detachable goes on after that, with its output dropped but for the last of it, and is
// over with its command.
#pragma once

#include <poll.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "guest/pty-agent/child.h"
#include "guest/pty-agent/connection.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/last_output.h"
#include "guest/pty-agent/session_group.h"

namespace capsem::guest::pty_agent {

inline constexpr std::chrono::milliseconds kQuiet{200};
inline constexpr std::chrono::milliseconds kLinger{2000};

class Relay {
 public:
  // The command's processes are those of `group`, or when it is null of the command's session
  // (setsid(2)). The session outlives its connection for `outlive`, if that is not 0, and finds the
  // next one on `line`, which may be no descriptor. `serving` is what the agent is to know of it.
  Relay(Connection& connection, Child child, const SessionGroup* group,
        std::chrono::milliseconds outlive, const Fd& line, Serving serving);

  // Returns when the session is over: its status or the reason for its end is queued on the
  // connection, or the host has gone. In the second case, and when the host broke the protocol,
  // no process of the session is left.
  void run();

 private:
  using Clock = Connection::Clock;
  enum Slot : std::size_t { kConnection, kLine, kProcess, kInput, kOutput, kError, kSlots };

  struct Output {
    Fd* fd;
    wire::OutputStream stream;
    bool emptied = false;  // since the command ended: all it had written is read
    std::size_t bytes_since_end = 0;
  };

  bool is_over() const { return ended_ && !has_open_output(); }
  Result<> wait_and_relay();
  Result<> deliver();
  void watch(std::array<pollfd, kSlots>& slots);
  int timeout() const;
  bool has_room() const;
  bool has_open_output() const;

  Result<> listen_to_host(short events);
  Result<> talk_to_host();
  Result<> tolerate_loss(Result<> talked);
  void take_connection();
  void leave_line();
  void resume(Resumption resumption);
  void attach(Attachment attachment);
  void tell_agent();
  Result<> handle_messages();
  Result<> handle(wire::HostSession message);
  Result<> take_input(wire::Stdin input);
  void close_output(wire::OutputStream stream);

  void write_input();
  void end_input();
  void input_is_closed();
  void grant(std::size_t bytes);

  void read_output(Output& output);
  void note_end();
  void report_end();
  void kill_all() const;
  void cut_off(Output& output);
  void settle(Output& output, bool readable);

  Connection& connection_;
  Child child_;
  const SessionGroup* group_;
  std::chrono::milliseconds outlive_;
  const Fd& line_;
  bool line_is_closed_;
  Serving serving_;            // as the agent was last told
  LastOutput last_output_;     // of a session that is detachable
  Clock::time_point lost_at_;  // when the connection is lost
  std::array<Output, 2> outputs_;
  std::vector<char> read_buffer_;

  std::string input_;              // from the host, not yet written to the command
  std::size_t input_written_ = 0;  // of input_
  std::size_t ungranted_ = 0;      // written to the command, credit not yet given back
  bool input_ended_ = false;       // the host has no more
  bool line_is_open_ = false;      // the last byte for the terminal was no newline

  bool cut_off_ = false;  // an output was still held by a process when it was closed here
  bool ended_ = false;
  std::optional<wire::Exited> exited_;  // once the host is to know
  Clock::time_point ended_at_;
  Clock::time_point quiet_since_;
};

}  // namespace capsem::guest::pty_agent
