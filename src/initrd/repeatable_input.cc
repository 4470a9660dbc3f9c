#include "initrd/repeatable_input.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>

#include "base/file.h"

namespace capsem::initrd {
namespace {

Result<> copy_all(Input& from, const Fd& to) {
  for (;;) {
    auto piece = from.peek(1);
    if (!piece) return propagate(piece);
    if (piece->empty()) return {};
    if (auto written = write_full(to, *piece, "a temporary file"); !written) return written;
    from.take(piece->size());
  }
}

}  // namespace

Result<RepeatableInput> RepeatableInput::open(const Fd& fd, std::string name) {
  struct stat status{};
  if (::fstat(fd.get(), &status) == 0 && S_ISREG(status.st_mode)) {
    const off_t start = ::lseek(fd.get(), 0, SEEK_CUR);
    if (start < 0) return fail_system("read", std::move(name), errno);
    return RepeatableInput(fd, nullptr, start, std::move(name));
  }
  auto copy = unnamed_file();
  if (!copy) return propagate(copy);
  FileInput from(fd, name);
  if (auto copied = copy_all(from, *copy); !copied) return propagate(copied, "copy", name);
  return RepeatableInput(fd, std::make_unique<Fd>(std::move(*copy)), 0, std::move(name));
}

Result<std::unique_ptr<Input>> RepeatableInput::from_start() const {
  if (::lseek(fd_.get(), start_, SEEK_SET) < 0) return fail_system("read", name_, errno);
  return std::make_unique<FileInput>(fd_, name_);
}

}  // namespace capsem::initrd
