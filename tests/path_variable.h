// PATH for a test, put back at its end.
#pragma once

#include <stdlib.h>

#include <string>

namespace capsem::testing {

class PathVariable {
 public:
  explicit PathVariable(const std::string& path) : before_(present()) {
    ::setenv("PATH", path.c_str(), 1);
  }
  ~PathVariable() { ::setenv("PATH", before_.c_str(), 1); }
  PathVariable(const PathVariable&) = delete;
  PathVariable& operator=(const PathVariable&) = delete;

 private:
  static std::string present() {
    const char* path = ::getenv("PATH");
    return path != nullptr ? path : "";
  }

  std::string before_;
};

}  // namespace capsem::testing
