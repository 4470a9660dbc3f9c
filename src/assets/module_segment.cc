#include "assets/module_segment.h"

#include "assets/modules.h"
#include "base/file.h"
#include "codec/codec.h"
#include "cpio/writer.h"

namespace capsem::assets {
namespace {

constexpr std::uint64_t kMaxModuleBytes = 64 << 20;
constexpr cpio::Attributes kDirectory = {.permissions = 0755};
constexpr cpio::Attributes kFile = {.permissions = 0444};

// Stored: in an emulated guest unpacking 1 MB costs 1 % of the kernel's boot with lz4, gzip or zstd
// and 6 % with xz, and the host reads it from memory anyhow.
constexpr codec::Codec kCodec = codec::Codec::kNone;

Result<> add_parents(cpio::Writer& archive, std::string_view directory) {
  for (auto slash = directory.find('/');; slash = directory.find('/', slash + 1)) {
    auto added = archive.add_directory(std::string(directory.substr(0, slash)), kDirectory);
    if (!added || slash == std::string_view::npos) return added;
  }
}

}  // namespace

Result<std::vector<std::byte>> make_module_segment(const std::filesystem::path& tree,
                                                   std::span<const std::string> wanted) {
  auto modules = ModuleTree::scan(tree);
  if (!modules) return propagate(modules);
  auto order = modules->load_order(wanted);
  if (!order) return propagate(order);

  std::string directory = std::string(kBootModulesDirectory).substr(1);
  std::vector<std::byte> segment;
  cpio::Writer archive(append_to(segment));
  if (auto added = add_parents(archive, directory); !added) return propagate(added);
  std::string list;
  for (const auto& file : *order) {
    auto name = module_name(file.stem().string()) + ".ko";
    auto content = read_file(file, kMaxModuleBytes);
    if (!content) return propagate(content);
    auto path = std::filesystem::path(directory) / name;
    auto added = archive.add_file(path, as_bytes(*content), kFile);
    if (!added) return propagate(added);
    list += name + "\n";
  }
  auto added = archive.add_file(directory + "/" + kBootModulesOrder, as_bytes(list), kFile);
  if (!added) return propagate(added);
  if (auto finished = archive.finish(); !finished) return propagate(finished);
  return codec::compress(kCodec, codec::default_level(kCodec), segment);
}

}  // namespace capsem::assets
