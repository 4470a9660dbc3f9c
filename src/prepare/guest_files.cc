#include "prepare/guest_files.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>
#include <map>
#include <utility>

#include "base/fd.h"

namespace capsem::prepare {

Result<GuestFiles> hash_guest_files(const manifest::Manifest& manifest,
                                    const manifest::SourceTree& tree) {
  auto sources = manifest::list_sources(manifest, tree);
  if (!sources) return propagate(sources);
  GuestFiles files{.sources = std::move(*sources), .sums = {}};
  std::map<std::pair<dev_t, ino_t>, Digest> known;
  for (const auto& source : files.sources) {
    if (source.type == manifest::FileType::kDirectory) continue;
    auto file = open_file(source.source, O_RDONLY);
    if (!file) return propagate(file);
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_system("look at", source.source, errno);
    auto found = known.find({status.st_dev, status.st_ino});
    if (found == known.end()) {
      auto digest = sha256(*file, source.source);
      if (!digest) return propagate(digest);
      found = known.emplace(std::pair(status.st_dev, status.st_ino), *digest).first;
    }
    files.sums.emplace(source.path, found->second);
  }
  return files;
}

}  // namespace capsem::prepare
