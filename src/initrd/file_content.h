// What one file of an image holds once Linux has unpacked all of it.
#pragma once

#include <cstdint>
#include <string_view>

#include "base/error.h"
#include "base/stream.h"
#include "initrd/image.h"

namespace capsem::initrd {

// Reads `image` to its end and returns which of its records, counted from 0, has the body that the
// file at `path` is left with: the last of its records, or for hard links the last of any name that
// came with a body. Symbolic links are followed, and the path may begin with a slash. Of a file
// that Linux would not make, for want of a directory, it is the last record of that name. kNotFound
// when there is neither; kInvalid when `path` leads to something that is no file; else as
// ImageReader::next().
Result<std::uint64_t> find_content(ImageReader& image, std::string_view path);

// Gives the body of that record to `sink`. `image` stands at its first record.
Result<> copy_body(ImageReader& image, std::uint64_t record_number, const Sink& sink);

}  // namespace capsem::initrd
