#include "prepare/codec_choice.h"

#include <stdlib.h>

#include <algorithm>
#include <bit>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>
#include <optional>
#include <vector>

#include "base/file.h"
#include "base/json.h"
#include "base/log.h"
#include "base/progress.h"
#include "initrd/pack.h"

namespace capsem::prepare {
namespace {

namespace fs = std::filesystem;
using Clock = std::chrono::steady_clock;
using Milliseconds = std::chrono::duration<double, std::milli>;

// Boots vary by more than codecs do, so each codec gets several, in turn.
constexpr int kRounds = 3;
constexpr const char* kFileName = "codec.json";
constexpr std::uint64_t kFileLimitBytes = 64 << 10;

struct Candidate {
  codec::Codec codec;
  std::uint64_t bytes = 0;
  Fd image;
  std::vector<double> pack_ms;
  std::vector<double> boot_ms;
  bool boots = true;

  static double median(std::vector<double> values) {
    std::ranges::sort(values);
    return values.at(values.size() / 2);
  }
  double total_ms() const { return median(pack_ms) + median(boot_ms); }
  std::string describe() const {
    if (!boots) return std::string(codec::name(codec)) + " does not boot";
    auto whole = [](double value) { return std::to_string(std::lround(value)); };
    return std::string(codec::name(codec)) + " " + whole(median(pack_ms)) + " + " +
           whole(median(boot_ms)) + " ms";
  }
};

// Removed with the images in it.
class Scratch {
 public:
  static Result<Scratch> create(const fs::path& cache) {
    if (auto made = make_directories(cache); !made) return propagate(made);
    auto name = (cache / "codec-XXXXXX").string();
    if (::mkdtemp(name.data()) == nullptr) return fail_system("make a folder in", cache, errno);
    return Scratch(name);
  }
  explicit Scratch(fs::path path) : path_(std::move(path)) {}
  Scratch(Scratch&& other) noexcept : path_(std::exchange(other.path_, {})) {}
  Scratch& operator=(Scratch&&) = delete;
  ~Scratch() {
    std::error_code ignored;
    if (!path_.empty()) fs::remove_all(path_, ignored);
  }
  const fs::path& path() const { return path_; }

 private:
  fs::path path_;
};

class Chooser {
 public:
  Chooser(const Layout& layout, const manifest::Manifest& manifest, const assets::Assets& assets,
          TrialMachine& machine)
      : layout_(layout), manifest_(manifest), assets_(assets), machine_(machine) {}

  Result<CodecChoice> run() {
    auto key = make_key();
    if (!key) return propagate(key);
    if (auto known = load(*key)) return *known;
    auto measured = measure();
    if (!measured) return propagate(measured);
    auto stored = store(*key, *measured);
    if (!stored) warn(stored.error().message());
    return measured;
  }

 private:
  // What a choice depends on.
  Result<std::string> make_key() const {
    auto machine = machine_.identity();
    if (!machine) return propagate(machine);
    std::string key = "2 " + *machine;
    for (const auto& file : assets_.index.files) key += " " + file.sha256.hex();
    auto sources = manifest::list_sources(manifest_, layout_.sources);
    if (!sources) return propagate(sources);
    std::uint64_t bytes = 0;
    std::error_code ignored;
    for (const auto& source : *sources)
      if (source.type == manifest::FileType::kFile) bytes += fs::file_size(source.source, ignored);
    return key + " " + std::to_string(std::bit_width(bytes));
  }

  std::optional<CodecChoice> load(const std::string& key) const {
    auto text = read_file(layout_.cache / kFileName, kFileLimitBytes);
    if (!text) return std::nullopt;
    auto json = nlohmann::json::parse(*text, nullptr, false);
    if (!json.is_object() || json.value("key", nlohmann::json()) != key) return std::nullopt;
    for (const char* member : {"codec", "reason"})
      if (!json.contains(member) || !json[member].is_string()) return std::nullopt;
    auto name = json["codec"].get<std::string>();
    if (!codec::parse(name)) return std::nullopt;
    return CodecChoice{name, json["reason"].get<std::string>()};
  }

  Result<> store(const std::string& key, const CodecChoice& choice) const {
    nlohmann::json json = {{"key", key}, {"codec", choice.codec}, {"reason", choice.reason}};
    return write_file_atomically(layout_.cache / kFileName, json_text(json, 2) + "\n");
  }

  Result<CodecChoice> measure() {
    auto scratch = Scratch::create(layout_.cache);
    if (!scratch) return propagate(scratch);
    say("measuring which codec packs and boots soonest; this takes about half a minute, once");
    Progress progress("measuring codecs");
    std::vector<Candidate> candidates;
    for (auto codec : codec::kCodecs) candidates.push_back({.codec = codec});
    std::size_t done = 0;
    for (int round = 0; round < kRounds; ++round)
      for (auto& candidate : candidates) {
        if (!candidate.boots) continue;
        if (auto tried = try_once(candidate, scratch->path()); !tried) return propagate(tried);
        progress.update(++done, candidates.size() * kRounds);
      }
    return best(candidates);
  }

  Result<> try_once(Candidate& candidate, const fs::path& directory) {
    initrd::PackOptions options;
    options.target = directory / "initrd.img";
    options.codec = candidate.codec;
    auto begin = Clock::now();
    auto packed = initrd::pack_guest(manifest_, layout_.sources, &assets_.modules, options);
    if (!packed) return propagate(packed);
    candidate.pack_ms.push_back(Milliseconds(Clock::now() - begin).count());
    candidate.image = std::move(packed->image);
    auto booted = machine_.boot(assets_, candidate.image);
    if (!booted && booted.error().kind() == ErrorKind::kNotFound) return propagate(booted);
    candidate.boots = booted.has_value();
    if (booted) candidate.boot_ms.push_back(booted->count());
    last_error_ = booted ? "" : booted.error().message();
    return {};
  }

  Result<CodecChoice> best(std::vector<Candidate>& candidates) const {
    std::ranges::stable_partition(candidates, &Candidate::boots);
    auto booting = std::ranges::count_if(candidates, &Candidate::boots);
    if (booting == 0)
      return fail("choose", "a codec", "the guest boots with none of them: " + last_error_,
                  "look at it with 'capsem run --codec gzip'");
    std::ranges::sort(candidates.begin(), candidates.begin() + booting, {}, &Candidate::total_ms);
    std::string reason;
    for (const auto& candidate : candidates)
      reason += (reason.empty() ? "pack + boot: " : ", ") + candidate.describe();
    return CodecChoice{std::string(codec::name(candidates.front().codec)), reason};
  }

  const Layout& layout_;
  const manifest::Manifest& manifest_;
  const assets::Assets& assets_;
  TrialMachine& machine_;
  std::string last_error_;
};

}  // namespace

Result<CodecChoice> choose_codec(const Layout& layout, const manifest::Manifest& manifest,
                                 const assets::Assets& assets, TrialMachine& machine) {
  return Chooser(layout, manifest, assets, machine).run();
}

}  // namespace capsem::prepare
