// What the `initrd` subcommands share: images by name, and how they report.
#pragma once

#include <CLI/App.hpp>
#include <memory>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "base/progress.h"
#include "base/stream.h"
#include "cli/command.h"

namespace capsem::cli {

// A further descriptor for standard input or output, at the same place of the same file.
Result<Fd> standard_descriptor(int number);

// An image to read: a file, or standard input for "-".
class ImageFile {
 public:
  // `what` is done with it, for a line of progress ("extracting"); without it there is none.
  static Result<ImageFile> open(const std::string& name, const std::string& what = {});

  Input& input() { return *input_; }
  const std::string& name() const { return name_; }  // for messages
  const Fd& fd() const { return *fd_; }
  // Takes the line of progress away; called when nothing more is read.
  void end_progress();
  // For another input over fd().
  FileInput::OnRead on_read() const;

 private:
  std::string name_;
  std::unique_ptr<Fd> fd_;  // its address is what the input holds
  std::unique_ptr<Progress> progress_;
  std::unique_ptr<Input> input_;
};

// One of each for a subcommand of `capsem initrd`.
void add_initrd_pack(CLI::App& initrd, Action& action, const Signals& signals);  // and convert
void add_initrd_list(CLI::App& initrd, Action& action);
void add_initrd_extract(CLI::App& initrd, Action& action);  // extract and cat
void add_initrd_diff(CLI::App& initrd, Action& action);
void add_initrd_verify(CLI::App& initrd, Action& action);

// Adds the option that limits what an image may unpack to.
void add_limit_option(CLI::App& command, std::uint64_t& limit_bytes);

}  // namespace capsem::cli
