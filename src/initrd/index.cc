#include "initrd/index.h"

#include <nlohmann/json.hpp>

#include "base/json.h"
#include "base/text.h"

namespace capsem::initrd {
namespace {

using Json = nlohmann::ordered_json;

constexpr int kVersion = 1;

Digest digest(const Json& json) {
  auto parsed = Digest::parse(json.get<std::string>());
  if (!parsed) throw std::invalid_argument(parsed.error().reason());
  return *parsed;
}

Index read(const Json& json) {
  if (json.at("version") != kVersion) throw std::invalid_argument("its version is not 1");
  Index index;
  auto codec = codec::parse(json.at("codec").get<std::string>());
  if (!codec) throw std::invalid_argument(codec.error().reason());
  index.codec = *codec;
  index.level = json.at("level");
  index.image_bytes = json.at("image").at("bytes");
  index.image_sha256 = digest(json.at("image").at("sha256"));
  for (const auto& segment : json.at("segments"))
    index.segments.push_back({.name = segment.at("name"),
                              .offset = segment.at("offset"),
                              .bytes = segment.at("bytes"),
                              .sha256 = digest(segment.at("sha256"))});
  for (const auto& entry : json.at("entries")) {
    IndexedEntry indexed{.name = entry.at("name"), .segment = entry.at("segment"), .files = {}};
    if (indexed.segment >= index.segments.size())
      throw std::invalid_argument("it names a segment that is not there");
    for (const auto& file : entry.at("files"))
      indexed.files.push_back({.path = file.at("path"),
                               .mode = static_cast<std::uint32_t>(
                                   std::stoul(file.at("mode").get<std::string>(), nullptr, 8)),
                               .bytes = file.at("bytes"),
                               .sha256 = digest(file.at("sha256"))});
    index.entries.push_back(std::move(indexed));
  }
  return index;
}

}  // namespace

std::string encode_index(const Index& index) {
  Json json;
  json["version"] = kVersion;
  json["codec"] = codec::name(index.codec);
  json["level"] = index.level;
  json["image"] = {{"bytes", index.image_bytes}, {"sha256", index.image_sha256.hex()}};
  json["segments"] = Json::array();
  for (const auto& segment : index.segments)
    json["segments"].push_back({{"name", segment.name},
                                {"offset", segment.offset},
                                {"bytes", segment.bytes},
                                {"sha256", segment.sha256.hex()}});
  json["entries"] = Json::array();
  for (const auto& entry : index.entries) {
    Json files = Json::array();
    for (const auto& file : entry.files)
      files.push_back({{"path", file.path},
                       {"mode", octal(file.mode)},
                       {"bytes", file.bytes},
                       {"sha256", file.sha256.hex()}});
    json["entries"].push_back(
        {{"name", entry.name}, {"segment", entry.segment}, {"files", std::move(files)}});
  }
  return json_text(json, 1) + "\n";
}

Result<Index> decode_index(std::string_view text, const std::string& file) {
  try {
    return read(Json::parse(text));
  } catch (const std::exception& reason) {
    return fail("read", file, std::string("it is no index of capsem's: ") + reason.what(),
                "repack with 'capsem initrd pack', or move it away", ErrorKind::kInvalid);
  }
}

std::filesystem::path index_path(const std::filesystem::path& image) {
  auto path = image;
  return path.replace_extension(".json");
}

}  // namespace capsem::initrd
