#include "initrd/pack_record.h"

#include <algorithm>
#include <functional>
#include <protozero/pbf_builder.hpp>
#include <protozero/pbf_message.hpp>
#include <vector>

#include "base/directory.h"
#include "base/file.h"

namespace capsem::initrd {
namespace {

constexpr std::uint64_t kLimitBytes = 256 << 20;
constexpr std::uint32_t kRecordVersion = 2;

// The record is one protobuf message behind its SHA-256.
enum class RecordField : protozero::pbf_tag_type {
  kVersion = 1,       // uint32
  kInputs = 2,        // bytes
  kImage = 3,         // Known, without a hash
  kFile = 4,          // repeated Known
  kSegment = 5,       // repeated Known
  kImageSettled = 6,  // bool
  kImagePart = 7,     // repeated Part, in order
};

enum class KnownField : protozero::pbf_tag_type {
  kName = 1,  // bytes: a path, or a segment's key
  kDevice = 2,
  kInode = 3,
  kSize = 4,
  kModified = 5,
  kChanged = 6,
  kSha256 = 7,  // bytes
};

enum class PartField : protozero::pbf_tag_type {
  kOffset = 1,  // uint64
  kSize = 2,    // uint64
  kSha256 = 3,  // bytes
};

std::string_view text_of(const Digest& digest) {
  return as_text(digest.bytes);
}

Digest digest_of(protozero::data_view view) {
  Digest digest;
  if (view.size() != digest.bytes.size()) throw protozero::exception();
  std::ranges::copy(as_bytes(std::string_view(view.data(), view.size())), digest.bytes.begin());
  return digest;
}

void write_known(protozero::pbf_builder<RecordField>& record, RecordField field,
                 std::string_view name, const KnownFile& known) {
  protozero::pbf_builder<KnownField> message(record, field);
  message.add_bytes(KnownField::kName, name.data(), name.size());
  message.add_uint64(KnownField::kDevice, known.identity.device);
  message.add_uint64(KnownField::kInode, known.identity.inode);
  message.add_uint64(KnownField::kSize, known.identity.size_bytes);
  message.add_int64(KnownField::kModified, known.identity.modified_ns);
  message.add_int64(KnownField::kChanged, known.identity.changed_ns);
  message.add_bytes(KnownField::kSha256, text_of(known.sha256).data(),
                    text_of(known.sha256).size());
}

std::pair<std::string, KnownFile> read_known(protozero::data_view view) {
  std::pair<std::string, KnownFile> result;
  auto& [name, known] = result;
  protozero::pbf_message<KnownField> message(view);
  while (message.next()) switch (message.tag()) {
      case KnownField::kName:
        name = message.get_string();
        break;
      case KnownField::kDevice:
        known.identity.device = message.get_uint64();
        break;
      case KnownField::kInode:
        known.identity.inode = message.get_uint64();
        break;
      case KnownField::kSize:
        known.identity.size_bytes = message.get_uint64();
        break;
      case KnownField::kModified:
        known.identity.modified_ns = message.get_int64();
        break;
      case KnownField::kChanged:
        known.identity.changed_ns = message.get_int64();
        break;
      case KnownField::kSha256:
        known.sha256 = digest_of(message.get_view());
        break;
      default:
        message.skip();
    }
  return result;
}

void write_part(protozero::pbf_builder<RecordField>& record, const ImagePart& part) {
  protozero::pbf_builder<PartField> message(record, RecordField::kImagePart);
  message.add_uint64(PartField::kOffset, part.offset);
  message.add_uint64(PartField::kSize, part.bytes);
  message.add_bytes(PartField::kSha256, text_of(part.sha256).data(), text_of(part.sha256).size());
}

ImagePart read_part(protozero::data_view view) {
  ImagePart part;
  protozero::pbf_message<PartField> message(view);
  while (message.next()) switch (message.tag()) {
      case PartField::kOffset:
        part.offset = message.get_uint64();
        break;
      case PartField::kSize:
        part.bytes = message.get_uint64();
        break;
      case PartField::kSha256:
        part.sha256 = digest_of(message.get_view());
        break;
      default:
        message.skip();
    }
  return part;
}

// Records of targets that are no longer packed would stay for ever.
void forget_oldest(const std::filesystem::path& directory) {
  constexpr std::size_t kKept = 256;
  std::vector<std::pair<std::filesystem::file_time_type, std::filesystem::path>> records;
  std::error_code error;
  for (const auto& name : names_in(directory).value_or(std::vector<std::string>()))
    records.emplace_back(std::filesystem::last_write_time(directory / name, error),
                         directory / name);
  if (records.size() <= kKept) return;
  std::ranges::sort(records, std::greater{});
  for (const auto& [time, path] : std::span(records).subspan(kKept))
    std::filesystem::remove(path, error);
}

}  // namespace

PackRecord::PackRecord() {
  std::error_code error;
  working_directory_ = std::filesystem::current_path(error);
}

// A relative path means another file elsewhere.
std::string PackRecord::key_of(const std::filesystem::path& file) const {
  return (working_directory_ / file).string();
}

PackRecord PackRecord::load(const std::filesystem::path& path) {
  auto content = read_file(path, kLimitBytes);
  Digest hash;
  if (!content || content->size() < hash.bytes.size()) return {};
  auto bytes = as_bytes(*content).subspan(hash.bytes.size());
  if (as_text(sha256(bytes).bytes) != std::string_view(*content).substr(0, hash.bytes.size()))
    return {};
  try {
    PackRecord record;
    std::uint32_t version = 0;
    protozero::pbf_message<RecordField> message(as_text(bytes).data(), bytes.size());
    while (message.next()) switch (message.tag()) {
        case RecordField::kVersion:
          version = message.get_uint32();
          break;
        case RecordField::kInputs:
          record.inputs = digest_of(message.get_view());
          break;
        case RecordField::kImage:
          record.image = read_known(message.get_view()).second.identity;
          break;
        case RecordField::kImageSettled:
          record.image_settled = message.get_bool();
          break;
        case RecordField::kImagePart:
          record.image_parts.push_back(read_part(message.get_view()));
          break;
        case RecordField::kFile:
          record.files_.insert(read_known(message.get_view()));
          break;
        case RecordField::kSegment: {
          auto [key, known] = read_known(message.get_view());
          record.segments.emplace(digest_of({key.data(), key.size()}), known);
          break;
        }
        default:
          message.skip();
      }
    return version == kRecordVersion ? std::move(record) : PackRecord();
  } catch (const protozero::exception&) {
    return {};
  }
}

Result<> PackRecord::save(const std::filesystem::path& path) const {
  std::string text;
  protozero::pbf_builder<RecordField> message(text);
  message.add_uint32(RecordField::kVersion, kRecordVersion);
  message.add_bytes(RecordField::kInputs, text_of(inputs).data(), text_of(inputs).size());
  write_known(message, RecordField::kImage, "", {image, {}});
  message.add_bool(RecordField::kImageSettled, image_settled);
  for (const auto& part : image_parts) write_part(message, part);
  for (const auto& [name, known] : files_) write_known(message, RecordField::kFile, name, known);
  for (const auto& [key, known] : segments)
    write_known(message, RecordField::kSegment, text_of(key), known);
  if (auto made = make_directories(path.parent_path()); !made) return made;
  auto file = AtomicFile::create(path, 0600);
  if (!file) return propagate(file);
  auto hash = sha256(as_bytes(text));
  if (auto written = file->write(hash.bytes); !written) return written;
  if (auto written = file->write(as_bytes(text)); !written) return written;
  if (auto committed = file->commit(Sync::kNothing); !committed) return committed;
  forget_oldest(path.parent_path());
  return {};
}

std::optional<Digest> PackRecord::find_file(const Content& content) const {
  if (files_.empty() || content.file.empty()) return std::nullopt;
  auto known = files_.find(key_of(content.file));
  if (known == files_.end() || known->second.identity != content.identity) return std::nullopt;
  return known->second.sha256;
}

void PackRecord::add_file(const Node& node, std::int64_t now_ns) {
  const auto& content = node.content;
  if (content.file.empty() || !node.sha256 || !is_settled(*content.identity, now_ns)) return;
  files_[key_of(content.file)] = {*content.identity, *node.sha256};
}

}  // namespace capsem::initrd
