#include "cli/initrd/image_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <cerrno>

#include "base/log.h"
#include "cli/exit_status.h"
#include "prepare/layout.h"

namespace capsem::cli {

Result<Fd> standard_descriptor(int number) {
  // Where the shell closed it, something that cannot be used holds its place.
  const int flags = ::fcntl(number, F_GETFL);
  const int access = flags & O_ACCMODE;
  if (flags < 0 || (access != O_RDWR && access != (number == STDIN_FILENO ? O_RDONLY : O_WRONLY)))
    return fail_system("use", number == STDIN_FILENO ? "standard input" : "standard output", EBADF);
  Fd fd(number);
  auto copy = duplicate(fd);
  fd.release();  // it is the process's, not ours
  return copy;
}

Result<ImageFile> ImageFile::open(const std::string& name, const std::string& what) {
  ImageFile file;
  auto fd = name == "-" ? standard_descriptor(STDIN_FILENO) : open_file(name, O_RDONLY);
  if (!fd) return propagate(fd);
  file.name_ = name == "-" ? "standard input" : name;
  file.fd_ = std::make_unique<Fd>(std::move(*fd));
  if (!what.empty()) file.progress_ = std::make_unique<Progress>(what + " " + file.name_);
  file.input_ = std::make_unique<FileInput>(*file.fd_, file.name_, file.on_read());
  return file;
}

void ImageFile::end_progress() {
  if (progress_) progress_->end();
}

FileInput::OnRead ImageFile::on_read() const {
  if (!progress_) return {};
  return [progress = progress_.get()](std::uint64_t position, std::uint64_t size) {
    progress->update(position, size);
  };
}

void add_limit_option(CLI::App& command, std::uint64_t& limit_bytes) {
  command
      .add_option("--limit", limit_bytes,
                  "Refuse an image that unpacks to more (bytes, or with a suffix as in 512M)")
      ->transform(CLI::AsSizeValue(false))
      ->type_name("SIZE")
      ->default_str("16G");
}

}  // namespace capsem::cli
