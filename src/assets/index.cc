#include "assets/index.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "base/json.h"

namespace capsem::assets {
namespace {

using nlohmann::json;

constexpr int kVersion = 1;

std::unexpected<Error> damaged(const std::string& file, std::string reason) {
  return fail("read", file, std::move(reason), "build the assets again with: capsem build-assets",
              ErrorKind::kDamaged);
}

// A file of the set is opened by its name below the set's directory and nowhere else.
bool is_plain_name(const std::string& name) {
  return !name.empty() && name != "." && name != ".." && name.find('/') == std::string::npos &&
         name.find('\0') == std::string::npos;
}

Result<Index> from_json(const json& root, const std::string& file) {
  Index index{.architecture = root.at("architecture").get<std::string>(),
              .kernel_release = root.at("kernel_release").get<std::string>()};
  for (const auto& item : root.at("files")) {
    auto name = item.at("name").get<std::string>();
    auto digest = Digest::parse(item.at("sha256").get<std::string>());
    if (!digest || !is_plain_name(name)) return damaged(file, "an entry of its files is malformed");
    index.files.push_back({std::move(name), item.at("size").get<std::uint64_t>(), *digest});
  }
  for (const auto& item : root.at("inputs")) {
    auto digest = Digest::parse(item.at("sha256").get<std::string>());
    if (!digest) return damaged(file, "an entry of its inputs is malformed");
    index.inputs.push_back({item.at("name").get<std::string>(), *digest});
  }
  return index;
}

}  // namespace

const AssetFile* Index::find(std::string_view name) const {
  auto found = std::ranges::find(files, name, &AssetFile::name);
  return found == files.end() ? nullptr : &*found;
}

std::string encode_index(const Index& index) {
  nlohmann::ordered_json root;
  root["version"] = kVersion;
  root["architecture"] = index.architecture;
  root["kernel_release"] = index.kernel_release;
  root["files"] = nlohmann::ordered_json::array();
  for (const auto& file : index.files)
    root["files"].push_back(
        {{"name", file.name}, {"size", file.size_bytes}, {"sha256", file.sha256.hex()}});
  root["inputs"] = nlohmann::ordered_json::array();
  for (const auto& input : index.inputs)
    root["inputs"].push_back({{"name", input.name}, {"sha256", input.sha256.hex()}});
  return json_text(root, 2) + "\n";
}

Result<Index> decode_index(std::string_view text, const std::string& file) {
  try {
    auto root = json::parse(text);
    if (root.at("version") != kVersion) return damaged(file, "it is of another version of capsem");
    return from_json(root, file);
  } catch (const json::exception&) {
    return damaged(file, "it is not the JSON that capsem writes");
  }
}

}  // namespace capsem::assets
