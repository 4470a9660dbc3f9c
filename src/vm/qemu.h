// A virtual machine that runs: QEMU as a child process with its control socket, its console and
// our end of its vsock device. When this process dies QEMU dies; nothing is left on disk.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <filesystem>
#include <optional>
#include <string>

#include "async/line_reader.h"
#include "async/task.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "vm/machine.h"
#include "vm/qmp.h"

namespace capsem::vm {

using async::LineReader;

// The program, looked up in PATH, and the oldest version that has all we ask of it.
inline constexpr const char* kQemuProgram = "qemu-system-x86_64";
inline constexpr QemuVersion kOldestQemu{7, 2, 0};

// Where the program is. kNotFound, with the package to install, when it is nowhere.
Result<std::filesystem::path> find_qemu(const std::string& program = kQemuProgram);

class Qemu {
 public:
  // Starts `machine`; the guest begins to run at once. `executor`'s context must outlive the
  // result. kNotFound with the package to install when there is no QEMU.
  static Result<Qemu> start(const boost::asio::any_io_executor& executor, const Machine& machine,
                            const std::string& program = kQemuProgram);
  Qemu(Qemu&&) noexcept;
  Qemu& operator=(Qemu&&) = delete;
  // Kills QEMU and reaps it; pending wait()s return.
  ~Qemu();

  // Enters QMP's command mode, without which there are no events, and checks QEMU's version. When
  // QEMU ends instead, the error is what it said last.
  Task<Result<>> connect(std::chrono::milliseconds limit = std::chrono::seconds(10));

  // Our end of the vhost-user socket, for the device; once, when the machine has vsock.
  Fd take_vsock_socket();

  LineReader& console();
  Qmp& qmp();
  pid_t pid() const;

  // Waits for QEMU's end.
  Task<Result<ExitStatus>> wait();
  // The same for at most `limit`; nothing when it still runs then.
  Task<Result<std::optional<ExitStatus>>> wait_for(std::chrono::milliseconds limit);

  // Ends it at once; wait() tells when it has.
  void kill();

  // Ends it, whatever it does: asks, and kills it after half a second. Returns when it is reaped
  // and nothing of ours runs any more; throws what a task of ours threw.
  Task<Result<ExitStatus>> end();

  // "ended with exit status 1: LINE", the line being QEMU's own last one, if it said any.
  std::string end_in_words(const ExitStatus& status) const;

  // The same as an error, for an end nobody asked for. A QEMU that ended before it told its version
  // is asked for that once more, on a thread.
  Task<Error> failure(const ExitStatus& status) const;

 private:
  struct State;
  explicit Qemu(std::shared_ptr<State> state);

  std::shared_ptr<State> state_;
};

}  // namespace capsem::vm
