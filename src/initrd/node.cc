#include "initrd/node.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <limits>
#include <numeric>

namespace capsem::initrd {
namespace {

std::unexpected<Error> changed(const std::string& name) {
  return fail("pack", name, "it changed while it was packed", "run it again", ErrorKind::kDamaged);
}

Result<> read_host_file(const Node& node, const Sink& sink) {
  const auto& content = node.content;
  auto fd = open_file(content.file, O_RDONLY | O_NOCTTY);
  if (!fd) return propagate(fd);
  auto is_as_listed = [&]() -> Result<> {
    auto now = identity_of(*fd, content.file);
    if (!now) return propagate(now);
    return content.identity && *now != *content.identity ? changed(content.file) : Result<>{};
  };
  if (auto same = is_as_listed(); !same) return same;
  auto read = read_range(*fd, 0, node.body_bytes, sink, content.file);
  return read ? is_as_listed() : read;
}

Result<std::uint32_t> sum_of_bytes(const Node& node) {
  std::uint32_t sum = 0;
  auto read = read_content(node, [&](std::span<const std::byte> piece) -> Result<> {
    sum = std::accumulate(piece.begin(), piece.end(), sum, [](std::uint32_t total, std::byte byte) {
      return total + std::to_integer<std::uint32_t>(byte);
    });
    return {};
  });
  if (!read) return propagate(read);
  return sum;
}

Result<> write_body(Node& node, const ArchiveOptions& options, cpio::Writer& writer) {
  const bool hashes = node.type() == cpio::kRegular && (options.hash || node.sha256);
  std::optional<Sha256> hash;
  if (hashes) hash.emplace();
  auto read = read_content(node, [&](std::span<const std::byte> piece) {
    if (hash) hash->update(piece);
    return writer.write_body(piece);
  });
  if (!read || !hash) return read;
  auto digest = hash->finish();
  if (node.sha256 && *node.sha256 != digest) return changed(node.paths.front());
  node.sha256 = digest;
  return {};
}

}  // namespace

std::uint32_t archived_time(std::int64_t seconds) {
  return static_cast<std::uint32_t>(
      std::clamp<std::int64_t>(seconds, 0, std::numeric_limits<std::uint32_t>::max()));
}

Node node_of_bytes(std::string path, std::uint32_t mode, std::string bytes) {
  Node node;
  node.paths.push_back(std::move(path));
  node.metadata.mode = mode;
  node.body_bytes = bytes.size();
  node.sha256 = sha256(as_bytes(bytes));
  node.content.bytes = std::move(bytes);
  return node;
}

Result<> read_content(const Node& node, const Sink& sink) {
  const auto& content = node.content;
  if (node.body_bytes == 0) return {};
  if (content.spool)
    return read_range(*content.spool, content.offset, node.body_bytes, sink, node.paths.front());
  if (!content.file.empty()) return read_host_file(node, sink);
  return sink(as_bytes(content.bytes));
}

Result<Digest> hash_content(const Node& node) {
  Sha256 hash;
  auto read = read_content(node, [&](std::span<const std::byte> piece) -> Result<> {
    hash.update(piece);
    return {};
  });
  if (!read) return propagate(read);
  return hash.finish();
}

Result<> write_nodes(std::span<Node> nodes, const ArchiveOptions& options, cpio::Writer& writer) {
  for (auto& node : nodes) {
    auto metadata = node.metadata;
    if (!options.keep_mtime) metadata.mtime = options.mtime;
    if (node.type() != cpio::kRegular && node.type() != cpio::kSymlink) {
      for (const auto& path : node.paths)
        if (auto added = writer.add_special(path, metadata); !added) return added;
      continue;
    }
    // Like GNU cpio, no sum for a link's target.
    auto sum = options.checksum && node.type() == cpio::kRegular ? sum_of_bytes(node)
                                                                 : Result<std::uint32_t>(0);
    if (!sum) return propagate(sum);
    auto begun = writer.begin_file(node.paths, metadata, node.body_bytes, *sum);
    if (!begun) return begun;
    if (auto written = write_body(node, options, writer); !written) return written;
  }
  return {};
}

std::uint64_t archive_bytes(std::span<const Node> nodes) {
  auto record = [](std::size_t name, std::uint64_t body) {
    std::uint64_t head = cpio::kHeaderBytes + name + 1;
    return head + cpio::padding_to_4(head) + body + cpio::padding_to_4(body % 4);
  };
  std::uint64_t total = record(cpio::kTrailer.size(), 0);
  for (const auto& node : nodes) {
    for (const auto& path : node.paths) total += record(path.size(), 0);
    total += node.body_bytes + cpio::padding_to_4(node.body_bytes % 4);
  }
  return total;
}

}  // namespace capsem::initrd
