// An image that is read more than once, though it may come from a pipe.
#pragma once

#include <sys/types.h>

#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/stream.h"

namespace capsem::initrd {

class RepeatableInput {
 public:
  // A regular file is read from where it stands, and `fd` has to outlive the result; anything else
  // is copied to an unnamed file in the directory for temporary files. `name` is for messages.
  static Result<RepeatableInput> open(const Fd& fd, std::string name);

  // The image from its start. Only one such input at a time, and within this one's life.
  Result<std::unique_ptr<Input>> from_start() const;

 private:
  RepeatableInput(const Fd& fd, std::unique_ptr<Fd> copy, off_t start, std::string name)
      : copy_(std::move(copy)), fd_(copy_ ? *copy_ : fd), start_(start), name_(std::move(name)) {}

  std::unique_ptr<Fd> copy_;
  const Fd& fd_;
  off_t start_;
  std::string name_;
};

}  // namespace capsem::initrd
