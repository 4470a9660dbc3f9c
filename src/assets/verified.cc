#include "assets/verified.h"

#include <nlohmann/json.hpp>

#include "base/file.h"
#include "base/json.h"

namespace capsem::assets {
namespace {

using nlohmann::json;

constexpr std::uint64_t kMaxRecordBytes = 1 << 20;
constexpr std::size_t kMaxRecords = 64;

}  // namespace

VerifiedFiles VerifiedFiles::load(std::filesystem::path path) {
  VerifiedFiles files(std::move(path));
  auto text = read_file(files.path_, kMaxRecordBytes);
  if (!text) return files;
  try {
    for (const auto& item : json::parse(*text)) {
      auto digest = Digest::parse(item.at("sha256").get<std::string>());
      if (!digest) continue;
      Record record{.identity = {.device = item.at("device").get<std::uint64_t>(),
                                 .inode = item.at("inode").get<std::uint64_t>(),
                                 .size_bytes = item.at("size").get<std::uint64_t>(),
                                 .modified_ns = item.at("modified").get<std::int64_t>(),
                                 .changed_ns = item.at("changed").get<std::int64_t>()},
                    .sha256 = *digest};
      files.records_[item.at("file").get<std::string>()] = record;
    }
  } catch (const json::exception&) {
    files.records_.clear();
  }
  return files;
}

Result<Digest> VerifiedFiles::hash(const Fd& file, const std::string& key,
                                   const std::string& name) {
  auto before = identity_of(file, name);
  if (!before) return propagate(before);
  auto known = records_.find(key);
  if (known != records_.end() && known->second.identity == *before) return known->second.sha256;

  auto now_ns = file_clock_ns();
  ++files_read_;
  auto digest = sha256(file, name);
  if (!digest) return digest;
  auto after = identity_of(file, name);
  if (!after) return propagate(after);
  bool settled = *before == *after && is_settled(*before, now_ns);
  if (settled) {
    if (records_.size() >= kMaxRecords) records_.clear();
    records_[key] = {*before, *digest};
    changed_ = true;
  }
  return digest;
}

void VerifiedFiles::save() const {
  if (!changed_) return;
  json list = json::array();
  for (const auto& [key, record] : records_)
    list.push_back({{"file", key},
                    {"device", record.identity.device},
                    {"inode", record.identity.inode},
                    {"size", record.identity.size_bytes},
                    {"modified", record.identity.modified_ns},
                    {"changed", record.identity.changed_ns},
                    {"sha256", record.sha256.hex()}});
  auto text = json_text(list, 1);
  if (!make_directories(path_.parent_path(), 0700)) return;
  [[maybe_unused]] auto written = write_file_atomically(path_, text, 0600);
}

}  // namespace capsem::assets
