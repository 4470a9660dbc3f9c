#include "cli/image_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>

#include "base/log.h"
#include "cli/exit_status.h"

namespace capsem::cli {

namespace {

Result<Fd> standard_input() {
  Fd fd(STDIN_FILENO);
  auto copy = duplicate(fd);
  fd.release();  // it is the process's, not ours
  return copy;
}

}  // namespace

Result<ImageFile> ImageFile::open(const std::string& name, const std::string& what) {
  ImageFile file;
  auto fd = name == "-" ? standard_input() : open_file(name, O_RDONLY);
  if (!fd) return propagate(fd);
  file.name_ = name == "-" ? "standard input" : name;
  file.fd_ = std::make_unique<Fd>(std::move(*fd));
  if (!what.empty()) file.progress_ = std::make_unique<Progress>(what + " " + file.name_);
  file.input_ = std::make_unique<FileInput>(*file.fd_, file.name_, file.on_read());
  return file;
}

FileInput::OnRead ImageFile::on_read() const {
  if (!progress_) return {};
  return [progress = progress_.get()](std::uint64_t position, std::uint64_t size) {
    progress->update(position, size);
  };
}

int report(const Error& error) {
  say(error.message());
  return kTrouble;
}

void add_limit_option(CLI::App& command, std::uint64_t& limit_bytes) {
  command
      .add_option("--limit", limit_bytes,
                  "Refuse an image that unpacks to more (bytes, or with a suffix as in 512M)")
      ->transform(CLI::AsSizeValue(false))
      ->capture_default_str();
}

}  // namespace capsem::cli
