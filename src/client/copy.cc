#include "client/copy.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <memory>
#include <optional>

#include "tar/pack.h"
#include "tar/place.h"
#include "tar/unpack.h"

namespace capsem::client {
namespace {

constexpr const char* kStandard = "-";
constexpr std::size_t kPieceBytes = 256 << 10;

// The user's archive, as it is; the guest reads it.
Result<std::uint64_t> stream_in(CopyLink& link, const CopyPaths& paths, const OnCopied& on_copied) {
  auto ready = link.begin(wire::CopyIn{.path = paths.guest, .keep_owners = true});
  if (!ready) return propagate(ready);
  auto buffer = std::make_unique_for_overwrite<std::byte[]>(kPieceBytes);
  std::uint64_t done = 0;
  for (;;) {
    auto size = link.read_from(STDIN_FILENO, std::span(buffer.get(), kPieceBytes), "the archive");
    if (!size) return propagate(size);
    if (*size == 0) break;
    if (auto sent = link.write(std::span(buffer.get(), *size)); !sent) return propagate(sent);
    done += *size;
    on_copied(done, 0);
  }
  auto finished = link.finish();
  if (!finished) return propagate(finished);
  return finished->left_out;
}

// The guest's archive, as it is.
Result<> stream_out(CopyLink& link, Input& archive, const OnCopied& on_copied) {
  for (;;) {
    auto bytes = archive.peek(1);
    if (!bytes) return propagate(bytes);
    if (bytes->empty()) return {};
    if (auto written = link.write_to(STDOUT_FILENO, *bytes, "the archive"); !written)
      return written;
    archive.take(bytes->size());
    on_copied(archive.position(), 0);
  }
}

// Counts what goes through it.
class CountedInput final : public Input {
 public:
  CountedInput(Input& input, const OnCopied& on_copied, std::uint64_t total)
      : input_(input), on_copied_(on_copied), total_(total) {}

  Result<std::span<const std::byte>> peek(std::size_t wanted) override {
    on_copied_(position(), total_);
    return input_.peek(wanted);
  }

 private:
  void drop(std::size_t count) override { input_.take(count); }

  Input& input_;
  const OnCopied& on_copied_;
  std::uint64_t total_;
};

std::uint64_t file_bytes(const tar::Place& place) {
  struct stat status{};
  bool is_file =
      ::fstatat(place.directory.get(), place.name.c_str(), &status, AT_SYMLINK_NOFOLLOW) == 0 &&
      S_ISREG(status.st_mode);
  return is_file ? static_cast<std::uint64_t>(status.st_size) : 0;
}

}  // namespace

Result<std::uint64_t> copy_in(CopyLink& link, const CopyPaths& paths, const OnCopied& on_copied) {
  if (paths.host == kStandard) return stream_in(link, paths, on_copied);
  auto source = tar::source_of(paths.host);
  if (!source) return propagate(source);
  auto ready = link.begin(wire::CopyIn{.path = paths.guest, .name = source->name});
  if (!ready) return propagate(ready);
  auto total = file_bytes(*source);
  std::uint64_t done = 0;
  tar::Writer writer([&](std::span<const std::byte> bytes) -> Result<> {
    if (auto sent = link.write(bytes); !sent) return sent;
    done += bytes.size();
    on_copied(done, total);
    return {};
  });
  auto packed = tar::pack(*source, {.name = source->name}, writer);
  if (!packed) return propagate(packed);
  auto finished = link.finish();
  if (!finished) return propagate(finished);
  return packed->left_out + finished->left_out;
}

Result<std::uint64_t> copy_out(CopyLink& link, const CopyPaths& paths, const OnCopied& on_copied) {
  auto name = tar::item_name(paths.guest);
  bool to_standard = paths.host == kStandard;
  // Before anything is asked of the guest.
  auto target = to_standard ? Result<tar::Place>() : tar::target_of(paths.host, name);
  if (!target) return propagate(target);
  auto ready = link.begin(wire::CopyOut{.path = paths.guest, .name = name});
  if (!ready) return propagate(ready);
  PiecesInput pieces(link);
  std::uint64_t left_out = 0;
  auto copied = [&]() -> Result<> {
    if (to_standard) return stream_out(link, pieces, on_copied);
    CountedInput counted(pieces, on_copied, ready->bytes);
    tar::Reader reader(counted, "what the guest sends");
    auto unpacked = tar::unpack(reader, *target, {.name = name});
    if (!unpacked) return propagate(unpacked);
    left_out = unpacked->left_out;
    return {};
  }();
  // An archive that breaks off is explained by what the guest says behind it.
  bool broke_off = !copied && copied.error().kind() == ErrorKind::kDamaged && pieces.ended();
  if (!copied && !broke_off) return propagate(copied);
  // A guest may send more behind the archive's end; nobody wants it.
  if (auto rest = pieces.skip_to_end(); !rest) return propagate(rest);
  auto done = link.last_word();
  if (!done) return propagate(done);
  if (!copied) return propagate(copied);
  return left_out + done->left_out;
}

}  // namespace capsem::client
