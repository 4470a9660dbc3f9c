#include "host/boot_watch.h"

#include "vm/panic.h"
#include "wire/console.h"

namespace capsem::host {
namespace {

constexpr std::string_view kFirstStep = "before";
constexpr std::string_view kStepPrefix = wire::kStepPrefix;
constexpr std::string_view kFailurePrefix = wire::kFailurePrefix;

}  // namespace

void BootWatch::fail_with(Error error) {
  if (!failure_ && !stopped_) failure_ = std::move(error);
}

void BootWatch::console_line(std::string_view line) {
  if (auto panic = vm::panic_reason(line)) {
    panic_line_ = *panic;
    if (!booted_) fail_with(Error("boot", "the guest", "its kernel panicked: " + panic_line_));
  } else if (booted_) {
    return;
  } else if (line.starts_with(kFailurePrefix)) {
    fail_with(Error("boot", "the guest", std::string(line.substr(kFailurePrefix.size()))));
  } else if (line.starts_with(kStepPrefix)) {
    step_ = "in the init's step '" + std::string(line.substr(kStepPrefix.size())) + "'";
  } else if (step_.starts_with(kFirstStep)) {
    step_ = "in the kernel";
  }
}

void BootWatch::hello() {
  booted_ = true;
  panic_line_.clear();
}

void BootWatch::guest_failed(std::string_view text) {
  fail_with(Error(booted_ ? "go on with" : "boot", "the guest", std::string(text)));
}

void BootWatch::control_failed(const Error& error) {
  if (!booted_) fail_with(error);
}

void BootWatch::panicked() {
  panicked_ = true;
}

void BootWatch::shut_down(std::string_view reason) {
  shutdown_reason_ = reason;
}

void BootWatch::device_ended(const Error& error) {
  fail_with(error);
}

void BootWatch::timed_out(std::chrono::milliseconds limit) {
  if (booted_) return;
  fail_with(Error(
      "boot", "the guest",
      "it did not report within " + std::to_string(limit.count() / 1000) + " s; it stood " + step_,
      "give it longer with --boot-limit", ErrorKind::kTimeout));
}

void BootWatch::stopped() {
  stopped_ = true;
}

void BootWatch::asked_to_end(api::EndKind kind) {
  asked_for_ = kind;
}

void BootWatch::exited(const Result<>& how) {
  exited_ = true;
  if (stopped_ || failure_) return;
  if (panicked_) {
    // The last such line before QEMU's word is the kernel's own.
    fail_with(
        Error(booted_ ? "go on with" : "boot", "the guest",
              panic_line_.empty() ? "its kernel panicked" : "its kernel panicked: " + panic_line_));
  } else if (!how) {
    fail_with(how.error());
  } else if (!booted_) {
    fail_with(Error("boot", "the guest", "it switched itself off " + step_));
  }
}

api::End BootWatch::end() const {
  if (failure_) return {.kind = api::EndKind::kFailed, .error = failure_};
  if (stopped_) return {.kind = api::EndKind::kStopped, .error = {}};
  if (shutdown_reason_ == "guest-shutdown") return {.kind = api::EndKind::kPoweredOff, .error = {}};
  if (shutdown_reason_ == "guest-reset") return {.kind = api::EndKind::kRebooted, .error = {}};
  if (asked_for_) return {.kind = *asked_for_, .error = {}};
  return {.kind = api::EndKind::kFailed,
          .error = Error("go on with", "the guest", "QEMU ended without saying why")};
}

}  // namespace capsem::host
