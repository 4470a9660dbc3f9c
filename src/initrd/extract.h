// Extracts an image below a directory, and nowhere else: see root_directory.h and tree_writer.h.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "base/error.h"
#include "base/fd.h"
#include "initrd/image.h"
#include "initrd/selection.h"
#include "initrd/tree_writer.h"

namespace capsem::initrd {

// What is told on the way, by the thread that called extract().
struct ExtractEvents {
  std::function<void(const Error&)> failed;              // a record could not be made
  std::function<void(const std::string& text)> skipped;  // a record that Linux skips, and why
};

// Makes the selected records of `image` below `directory`, with their modes and times; `image` is
// read by a thread of its own meanwhile. A record that cannot be made is told of and counted, and
// the others are made. An error is that of the image, as ImageReader's, or one of the system that
// concerns all files, as a full disk: what was complete by then stays, the file under way is
// removed. At most some 8 MiB are held, and what is remembered of directories and hard links.
Result<WriteSummary> extract(ImageReader& image, Fd directory, const Selection& selection,
                             const WriteOptions& options, const ExtractEvents& events);

}  // namespace capsem::initrd
