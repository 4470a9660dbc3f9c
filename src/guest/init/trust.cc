#include "guest/init/trust.h"

#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include "base/fd.h"
#include "guest/open_in.h"
#include "guest/paths.h"

namespace capsem::guest::init {
namespace {

constexpr std::string_view kBegin = "# capsem: the authority of this VM\n";
constexpr std::string_view kEnd = "# capsem: end\n";
constexpr off_t kLargestBundle = 4 << 20;
constexpr const char* kNewFile = ".capsem.new";

struct Place {
  std::string directory;
  std::string name;
};

Place place_of(std::string_view path) {
  auto slash = path.rfind('/');
  return {std::string(path.substr(0, slash)), std::string(path.substr(slash + 1))};
}

// Nothing when there is no such file.
Result<std::string> read_in(const Fd& directory, const Place& place) {
  Fd file(::openat(directory.get(), place.name.c_str(),
                   O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file && errno == ENOENT) return std::string();
  if (!file) return fail_system("read", place.name, errno);
  struct stat status{};
  bool readable = ::fstat(file.get(), &status) == 0 && S_ISREG(status.st_mode) &&
                  status.st_size <= kLargestBundle;
  if (!readable) return fail("read", place.name, "it is no file, or too large");
  std::string text(static_cast<std::size_t>(status.st_size), '\0');
  auto size = read_full(file, std::as_writable_bytes(std::span(text)), place.name);
  if (!size) return propagate(size);
  text.resize(*size);
  return text;
}

Result<> write_in(const Fd& directory, const Place& place, std::string_view text) {
  ::unlinkat(directory.get(), kNewFile, 0);
  Fd file(::openat(directory.get(), kNewFile, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                   0644));
  if (!file) return fail_system("write", place.name, errno);
  if (auto written = write_full(file, as_bytes(text), place.name); !written) return written;
  if (::renameat(directory.get(), kNewFile, directory.get(), place.name.c_str()) != 0)
    return fail_system("write", place.name, errno);
  return {};
}

Result<Fd> directory_of(const Fd& root, const Place& place) {
  Fd directory = open_in(root, place.directory, O_RDONLY | O_DIRECTORY);
  if (!directory) return fail_system("open", place.directory, errno);
  return directory;
}

// Without what is between the two marks.
std::string without_ours(std::string text) {
  auto begin = text.find(kBegin);
  if (begin == std::string::npos) return text;
  auto end = text.find(kEnd, begin);
  auto length = end == std::string::npos ? end : end + kEnd.size() - begin;
  return text.erase(begin, length);
}

Result<> add_to_bundle(const Fd& root, const std::string& pem) {
  auto place = place_of(kTrustBundle);
  auto directory = directory_of(root, place);
  if (!directory) return propagate(directory);
  auto bundle = read_in(*directory, place);
  if (!bundle) return propagate(bundle);
  auto text = without_ours(std::move(*bundle));
  text.append(kBegin).append(pem).append(kEnd);
  return write_in(*directory, place, text);
}

}  // namespace

Result<> trust_authority(const std::string& root, const std::string& pem) {
  auto top = open_file(root, O_PATH | O_DIRECTORY);
  if (!top) return propagate(top);
  auto place = place_of(kAuthorityFile);
  auto directory = directory_of(*top, place);
  auto written = directory ? write_in(*directory, place, pem) : propagate(directory);
  auto added = add_to_bundle(*top, pem);
  return written ? added : written;
}

}  // namespace capsem::guest::init
