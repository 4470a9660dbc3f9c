// What a packer that uses a codec at its default level cannot be faster or smaller than.
//   initrd_limit repack FILE IMAGE_BYTES OUT CODEC
//     compresses FILE in memory, writes as many bytes as the image has to OUT and syncs it
//   initrd_limit size ARCHIVE CODEC
//     prints how many bytes ARCHIVE has as one compressed stream
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/file.h"
#include "base/log.h"
#include "codec/codec.h"

namespace capsem::bench {
namespace {

constexpr std::uint64_t kFileLimitBytes = 4ULL << 30;
constexpr std::size_t kChunkBytes = 1 << 20;

Result<std::vector<std::byte>> compress_file(const char* file, const char* codec_name) {
  auto codec = codec::parse(codec_name);
  if (!codec) return propagate(codec);
  auto content = read_file(file, kFileLimitBytes);
  if (!content) return propagate(content);
  return codec::compress(*codec, codec::default_level(*codec), as_bytes(*content));
}

Result<> write_and_sync(const std::string& name, std::uint64_t bytes) {
  auto fd = open_file(name, O_WRONLY | O_CREAT | O_TRUNC, 0644);
  if (!fd) return propagate(fd);
  const std::vector<std::byte> chunk(std::min<std::uint64_t>(bytes, kChunkBytes), std::byte{1});
  while (bytes > 0) {
    auto part = std::span(chunk).first(std::min<std::uint64_t>(bytes, chunk.size()));
    if (auto written = write_full(*fd, part, name); !written) return propagate(written);
    bytes -= part.size();
  }
  if (::fsync(fd->get()) != 0) return fail_system("sync", name, errno);
  return fd->close(name);
}

Result<> run(std::span<char* const> words) {
  std::string_view command = words.empty() ? "" : words[0];
  if (command == "repack" && words.size() == 5) {
    auto compressed = compress_file(words[1], words[4]);
    if (!compressed) return propagate(compressed);
    return write_and_sync(words[3], std::strtoull(words[2], nullptr, 10));
  }
  if (command == "size" && words.size() == 3) {
    auto compressed = compress_file(words[1], words[2]);
    if (!compressed) return propagate(compressed);
    return print(std::to_string(compressed->size()) + "\n");
  }
  return fail("measure", "the limit", "the words are not those of bench/initrd/limit.cc");
}

}  // namespace
}  // namespace capsem::bench

int main(int argc, char** argv) {
  auto done = capsem::bench::run(std::span(argv, static_cast<std::size_t>(argc)).subspan(1));
  if (done) return 0;
  capsem::say(done.error().message());
  return 1;
}
