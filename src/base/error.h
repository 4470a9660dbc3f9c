// Errors as values: what was attempted, on what, why it failed, and what to do next.
// Every layer returns Result; the text is put together and printed once, at the top.
#pragma once

#include <expected>
#include <string>
#include <string_view>
#include <utility>

namespace capsem {

// What kind of failure it was, where a caller acts on it; most callers only print.
enum class ErrorKind {
  kOther,
  kNotFound,     // the thing named does not exist
  kPermission,   // the system refused access
  kNoSpace,      // the disk or the memory is full
  kInvalid,      // the input breaks the rules of its format
  kDamaged,      // the content does not match its hash or checksum
  kTimeout,      // a limit of time passed
  kClosed,       // the other side of a stream went away
  kInterrupted,  // the user asked to stop
};

class Error {
 public:
  // `attempted` completes "cannot ...", `subject` is the file, port or entry it was done to,
  // `reason` says why it failed, `advice` (may be empty) what to do next.
  Error(std::string attempted, std::string subject, std::string reason, std::string advice = {},
        ErrorKind kind = ErrorKind::kOther);

  // The same with the reason and the kind taken from an errno value.
  static Error system(std::string attempted, std::string subject, int errno_value,
                      std::string advice = {});

  // kInterrupted, by the signal `number`, which `name` names.
  static Error interrupted(std::string attempted, std::string subject, int number,
                           const std::string& name);

  // This error as the reason of a larger one: "cannot ATTEMPTED SUBJECT: <this error>". Kind,
  // advice, system_error() and signal() stay.
  Error wrapped(std::string attempted, std::string subject) &&;

  // The same failure told as what the caller was about: "cannot ATTEMPTED SUBJECT: <its reason>",
  // with `advice` where it has none. Kind, system_error() and signal() stay.
  Error restated(std::string attempted, std::string subject, std::string advice = {}) &&;

  // The whole error in one line, without a trailing newline:
  // "cannot open /x/y: Permission denied; run it as the owner".
  std::string message() const;

  // message() without the advice, for who shows that in a place of its own.
  std::string statement() const;

  ErrorKind kind() const { return kind_; }
  const std::string& attempted() const { return attempted_; }
  const std::string& subject() const { return subject_; }
  // The errno value that the system gave, 0 where the failure was found otherwise. The variable
  // errno may have changed by the time that a Result is looked at.
  int system_error() const { return system_error_; }
  // kInterrupted by a signal: its number, otherwise 0.
  int signal() const { return signal_; }
  const std::string& reason() const { return reason_; }
  const std::string& advice() const { return advice_; }

 private:
  std::string attempted_;
  std::string subject_;
  std::string reason_;
  std::string advice_;
  ErrorKind kind_;
  int system_error_ = 0;
  int signal_ = 0;
};

template <class T = void>
using Result = std::expected<T, Error>;

// An error with its parts, ready to be returned from a function that returns Result.
template <class... Parts>
std::unexpected<Error> fail(Parts&&... parts) {
  return std::unexpected<Error>(std::in_place, std::forward<Parts>(parts)...);
}

inline std::unexpected<Error> fail_system(std::string attempted, std::string subject,
                                          int errno_value, std::string advice = {}) {
  return std::unexpected<Error>(
      Error::system(std::move(attempted), std::move(subject), errno_value, std::move(advice)));
}

// Hands the error of a failed Result on to the caller.
template <class T>
std::unexpected<Error> propagate(Result<T>& failed) {
  return std::unexpected<Error>(std::move(failed).error());
}

// The same, as the reason of a larger error.
template <class T>
std::unexpected<Error> propagate(Result<T>& failed, std::string attempted, std::string subject) {
  return std::unexpected<Error>(
      std::move(failed).error().wrapped(std::move(attempted), std::move(subject)));
}

}  // namespace capsem
