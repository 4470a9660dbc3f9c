// Which item a path names that somebody wrote on a command line: for both ends of a copy, on either
// side.
#pragma once

#include <string>
#include <string_view>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::tar {

// The last part of `path`; empty when that is the content of a directory rather than an item: "/",
// "", and what ends in "." or "..".
std::string item_name(std::string_view path);

struct Place {
  Fd directory;
  std::string name;  // in there; empty for the directory itself
};

// What is to be copied. A link is itself, unless `path` ends with '/'.
Result<Place> source_of(const std::string& path);

// Where something called `name` goes that is copied to `path`: into a directory that is there, or
// else it becomes `path`, as a file where a link leads to one. An empty name stands for the content
// of a directory: it goes into `path`, which is made when it is missing. An error for what is
// neither a file nor a directory.
Result<Place> target_of(const std::string& path, const std::string& name);

}  // namespace capsem::tar
