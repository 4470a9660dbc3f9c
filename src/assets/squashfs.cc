#include "assets/squashfs.h"

#include <fcntl.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <optional>

#include "base/fd.h"
#include "base/process.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

// The guest decompresses under emulation, where speed counts for more than size. Processor time for
// a boot, bash, git, Python, pytest, vim and reading 50 MB: lz4 15.7 s (163 MB), stored 16.6 s
// (329 MB), zstd 18.0 s (102 MB); lz4 with blocks of 1 MB 22.3 s, of 32 and 64 KB as with 128 KB.
constexpr std::array kCompression = {"-comp", "lz4"};

constexpr std::size_t kMaxListingBytes = 256 << 20;

// "rwxr-sr-x": letters for the bits, with 's' or 't' (capital: without the bit below) for set-id
// and sticky.
std::optional<std::uint32_t> permissions(std::string_view text) {
  constexpr std::string_view kLetters = "rwxrwxrwx";
  if (text.size() != kLetters.size()) return std::nullopt;
  std::uint32_t mode = 0;
  for (std::size_t i = 0; i < kLetters.size(); ++i) {
    std::uint32_t bit = 0400U >> i;
    std::uint32_t special = 04000U >> (i / 3);
    switch (text[i]) {
      case '-':
        break;
      case 's':
      case 't':
        mode |= bit | special;
        break;
      case 'S':
      case 'T':
        mode |= special;
        break;
      default:
        if (text[i] != kLetters[i]) return std::nullopt;
        mode |= bit;
    }
  }
  return mode;
}

// A line of unsquashfs -lln: type and permissions, "uid/gid", size, date, time, path, and of a
// symlink " -> target".
struct Listed {
  std::string path;
  SquashfsFile file;
};

std::optional<Listed> parse_listed(std::string_view line, std::string_view prefix) {
  if (line.size() < 10) return std::nullopt;
  auto mode = permissions(line.substr(1, 9));
  auto at = line.find(prefix);
  if (!mode || at == std::string_view::npos) return std::nullopt;
  auto path = line.substr(at + prefix.size());
  if (line[0] == 'l') path = path.substr(0, path.find(" -> "));
  Listed listed{std::string(path), {.mode = *mode}};
  auto ids = trim(line.substr(10, at - 10));
  const char* end = ids.data() + ids.size();
  auto uid = std::from_chars(ids.data(), ids.data() + ids.size(), listed.file.uid);
  if (uid.ec != std::errc() || uid.ptr == end || *uid.ptr != '/') return std::nullopt;
  auto gid = std::from_chars(uid.ptr + 1, end, listed.file.gid);
  if (gid.ec != std::errc()) return std::nullopt;
  return listed;
}

}  // namespace

Result<> write_squashfs(const fs::path& target, std::int64_t newest, const Feed& archive,
                        HeldSignals& signals) {
  // The root directory gets the ids of whoever runs sqfstar (4.5.1; its options for them have no
  // effect), so an ordinary user has to look like root to it.
  Command command;
  if (::geteuid() != 0) command.argv = {"unshare", "--map-root-user", "--"};
  command.argv.insert(command.argv.end(),
                      {"sqfstar", "-quiet", "-no-progress", "-no-xattrs", "-root-mode", "0755"});
  command.argv.insert(command.argv.end(), kCompression.begin(), kCompression.end());
  command.argv.push_back(target);
  // The option for the time of the root directory has no effect either; this reaches all times.
  constexpr std::string_view kEpoch = "SOURCE_DATE_EPOCH=";
  command.environment = {std::string(kEpoch) + std::to_string(newest)};
  for (char** entry = environ; *entry != nullptr; ++entry)
    if (!std::string_view(*entry).starts_with(kEpoch)) command.environment->emplace_back(*entry);
  auto nothing = open_file("/dev/null", O_WRONLY);
  if (!nothing) return propagate(nothing);
  command.fds = {{1, nothing->get()}};
  std::string said;
  auto status = run_watched(
      std::move(command), signals,
      [&said](std::string_view line) { (said += said.empty() ? "" : " ") += line; }, archive);
  if (!status) return propagate(status);
  if (status->success()) return {};
  if (said.find("No space left") != std::string::npos)
    return fail_system("write", target, ENOSPC, "free some space");
  return fail("write", target, "sqfstar ended with " + status->describe() + ": " + printable(said));
}

Result<std::map<std::string, SquashfsFile>> list_squashfs(const fs::path& image) {
  // The name of the directory that -lln shows before each path; one that nothing else has.
  constexpr const char* kPrefix = "capsem-image-root";
  auto text = run_for_output(
      {.argv = {"unsquashfs", "-no-progress", "-dest", kPrefix, "-lln", image}}, kMaxListingBytes);
  if (!text) return propagate(text);
  std::map<std::string, SquashfsFile> files;
  for (auto line : split(*text, '\n'))
    if (auto listed = parse_listed(line, kPrefix))
      files.emplace(std::move(listed->path), listed->file);
  return files;
}

}  // namespace capsem::assets
