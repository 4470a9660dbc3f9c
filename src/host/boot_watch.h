// Why a VM booted or did not, and why it ended: what its console, its init, QEMU and the vsock
// device say, weighed by how far each can be believed. Knows no event loop and no clock.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "api/types.h"
#include "base/error.h"

namespace capsem::host {

class BootWatch {
 public:
  // A line of the console. Until the guest has booted only its kernel and its init write there, so
  // what it says of a failure is the reason; afterwards it is no more than what somebody wrote.
  void console_line(std::string_view line);
  // The init said hello: the guest has booted.
  void hello();
  // The init said that the guest fails.
  void guest_failed(std::string_view text);
  // The control connection does not follow the protocol, or ended before the hello.
  void control_failed(const Error& error);
  // QEMU's word (a pvpanic device, or its own event).
  void panicked();
  void shut_down(std::string_view reason);
  void device_ended(const Error& error);
  // The boot took as long as it may.
  void timed_out(std::chrono::milliseconds limit);
  // It was asked to end by its owner.
  void stopped();
  // It was the guest that asked for this end, which counts when it does not come to it by itself.
  void asked_to_end(api::EndKind kind);
  // QEMU ended; the error, when it did so other than as somebody asked, in its own words.
  void exited(const Result<>& how);

  bool booted() const { return booted_; }
  // What is known to have gone wrong, and ends the VM.
  const std::optional<Error>& failure() const { return failure_; }
  // How it ended, once it has.
  api::End end() const;

 private:
  void fail_with(Error error);

  bool booted_ = false;
  bool stopped_ = false;
  bool panicked_ = false;
  bool exited_ = false;
  std::string step_ = "before the kernel's first line";
  std::string panic_line_;  // the kernel's, or made up by a session
  std::string shutdown_reason_;
  std::optional<api::EndKind> asked_for_;
  std::optional<Error> failure_;
};

}  // namespace capsem::host
