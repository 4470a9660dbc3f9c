#include "base/error.h"

#include <cerrno>
#include <cstring>

namespace capsem {
namespace {

ErrorKind kind_of(int errno_value) {
  switch (errno_value) {
    case ENOENT:
    case ENOTDIR:
      return ErrorKind::kNotFound;
    case EACCES:
    case EPERM:
    case EROFS:
      return ErrorKind::kPermission;
    case ENOSPC:
    case EDQUOT:
    case ENOMEM:
      return ErrorKind::kNoSpace;
    case ETIMEDOUT:
      return ErrorKind::kTimeout;
    case EPIPE:
    case ECONNRESET:
      return ErrorKind::kClosed;
    default:
      return ErrorKind::kOther;
  }
}

// What helps where it was a limit of the process's that was reached.
const char* advice_of(int errno_value) {
  switch (errno_value) {
    case EFBIG:
      return "raise the limit on the size of files (ulimit -f)";
    case EMFILE:
      return "raise the limit on open files (ulimit -n)";
    default:
      return "";
  }
}

}  // namespace

Error::Error(std::string attempted, std::string subject, std::string reason, std::string advice,
             ErrorKind kind)
    : attempted_(std::move(attempted)),
      subject_(std::move(subject)),
      reason_(std::move(reason)),
      advice_(std::move(advice)),
      kind_(kind) {}

Error Error::system(std::string attempted, std::string subject, int errno_value,
                    std::string advice) {
  if (advice.empty()) advice = advice_of(errno_value);
  Error error(std::move(attempted), std::move(subject), std::strerror(errno_value),
              std::move(advice), kind_of(errno_value));
  error.system_error_ = errno_value;
  return error;
}

Error Error::interrupted(std::string attempted, std::string subject, int number,
                         const std::string& name) {
  Error error(std::move(attempted), std::move(subject), "it was interrupted by " + name, {},
              ErrorKind::kInterrupted);
  error.signal_ = number;
  return error;
}

Error Error::wrapped(std::string attempted, std::string subject) && {
  reason_ = statement();
  return std::move(*this).restated(std::move(attempted), std::move(subject));
}

Error Error::restated(std::string attempted, std::string subject, std::string advice) && {
  attempted_ = std::move(attempted);
  subject_ = std::move(subject);
  if (advice_.empty()) advice_ = std::move(advice);
  return std::move(*this);
}

std::string Error::statement() const {
  std::string text = "cannot " + attempted_;
  if (!subject_.empty()) text += " " + subject_;
  return text + ": " + reason_;
}

std::string Error::message() const {
  return advice_.empty() ? statement() : statement() + "; " + advice_;
}

}  // namespace capsem
