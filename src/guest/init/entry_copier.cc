#include "guest/init/entry_copier.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdio>
#include <string_view>

#include "base/directory.h"
#include "base/fd.h"
#include "base/file.h"
#include "manifest/policy.h"

namespace capsem::guest::init {
namespace {

using manifest::Entry;
using manifest::FileType;

constexpr std::size_t kBufferBytes = 256 << 10;
// How much of a hash a person compares.
constexpr std::size_t kShownDigits = 12;

enum class Verdict { kTaken, kRefused };

}  // namespace

// One entry on its way from one place.
class EntryCopier::Job {
 public:
  Job(EntryCopier& copier, const Entry& entry, const Place& place,
      std::vector<std::string>& refusals)
      : copier_(copier),
        entry_(entry),
        place_(place),
        missing_(manifest::sums_of_entry(place.sums, entry.path)),
        refusals_(refusals) {}

  Result<std::optional<Digest>> run() {
    auto parent = target_of(entry_.path);
    parent.resize(parent.rfind('/'));
    if (auto made = make_directories(parent, manifest::kParentMode); !made) return propagate(made);
    auto taken = take(entry_.path);
    if (!taken) return propagate(taken);
    if (*taken == Verdict::kTaken && !missing_.empty())
      taken = refuse(missing_.begin()->first,
                     std::string("it is missing, ") + manifest::kSumsPath + " lists it");
    if (*taken == Verdict::kTaken) return manifest::entry_hash(place_.sums, entry_.path);
    remove_what_was_made();
    return std::nullopt;
  }

 private:
  std::string target_of(const std::string& path) const {
    return copier_.target_ + path.substr(std::string_view(manifest::kGuestRoot).size());
  }

  // As problems name it: the host reads them, for whom both places are elsewhere.
  std::string where(const std::string& path) const {
    return path + " of the " + std::string(name_of(place_.origin));
  }

  Verdict refuse(const std::string& path, const std::string& reason) {
    return refuse(Error("accept", where(path), reason));
  }
  Verdict refuse(const Error& error) {
    refusals_.push_back(error.message());
    return Verdict::kRefused;
  }

  Result<Verdict> take(const std::string& path) {
    struct stat status{};
    if (::lstat((place_.root + path).c_str(), &status) != 0)
      return refuse(Error::system("look at", where(path), errno));
    if (!S_ISREG(status.st_mode) && !S_ISDIR(status.st_mode))
      return refuse(path, "it is neither a file nor a directory");
    auto type = S_ISDIR(status.st_mode) ? FileType::kDirectory : FileType::kFile;
    auto fits = manifest::check_found(entry_, type, status.st_mode & 07777, status.st_uid,
                                      status.st_gid, where(path));
    if (!fits) return refuse(fits.error());
    return type == FileType::kDirectory ? take_directory(path) : take_file(path, status);
  }

  Result<Verdict> take_directory(const std::string& path) {
    auto names = names_in(place_.root + path);
    if (!names) return refuse(names.error());
    auto target = target_of(path);
    if (::mkdir(target.c_str(), 0700) != 0) return fail_system("make the directory", target, errno);
    made_.push_back(target);
    for (const auto& name : *names) {
      auto inner = path + "/";
      inner += name;
      auto taken = take(inner);
      if (!taken || *taken == Verdict::kRefused) return taken;
    }
    auto mode = manifest::expected_mode(entry_, FileType::kDirectory);
    if (::chmod(target.c_str(), mode) != 0) return fail_system("set the mode of", target, errno);
    return Verdict::kTaken;
  }

  Result<Verdict> take_file(const std::string& path, const struct stat& status) {
    auto listed = missing_.find(path);
    if (listed == missing_.end())
      return refuse(path, std::string("it is not in ") + manifest::kSumsPath);
    const auto wanted = listed->second;
    missing_.erase(listed);
    auto mode = manifest::expected_mode(entry_, FileType::kFile);
    auto [known, is_new] = copier_.known_.try_emplace({status.st_dev, status.st_ino, mode});
    if (!is_new && known->second.sha256 != wanted)
      return refuse_hash(path, known->second.sha256, wanted);
    auto target = target_of(path);
    if (!known->second.copy.empty()) {
      if (::link(known->second.copy.c_str(), target.c_str()) != 0)
        return fail_system("link", target, errno);
      made_.push_back(std::move(target));
      return Verdict::kTaken;
    }
    auto taken = copy_content(path, target, known->second.sha256);
    if (!taken || *taken == Verdict::kRefused) {
      copier_.known_.erase(known);
      return taken;
    }
    if (known->second.sha256 != wanted) return refuse_hash(path, known->second.sha256, wanted);
    known->second.copy = std::move(target);
    return Verdict::kTaken;
  }

  Verdict refuse_hash(const std::string& path, const Digest& found, const Digest& wanted) {
    return refuse(path, "its SHA-256 begins with " + found.hex().substr(0, kShownDigits) + ", " +
                            manifest::kSumsPath + " says " + wanted.hex().substr(0, kShownDigits));
  }

  Result<Verdict> copy_content(const std::string& path, const std::string& target, Digest& sha256) {
    auto source = open_file(place_.root + path, O_RDONLY | O_NOFOLLOW);
    if (!source) return refuse(source.error());
    auto copy = open_file(target, O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!copy) return propagate(copy);
    made_.push_back(target);
    Sha256 hash;
    for (bool more = true; more;) {
      auto bytes = read_full(*source, copier_.buffer_, where(path));
      if (!bytes) return refuse(bytes.error());
      more = *bytes == copier_.buffer_.size();
      auto piece = std::span(copier_.buffer_).first(*bytes);
      hash.update(piece);
      if (auto written = write_full(*copy, piece, target); !written) return propagate(written);
    }
    sha256 = hash.finish();
    if (::fchmod(copy->get(), manifest::expected_mode(entry_, FileType::kFile)) != 0)
      return fail_system("set the mode of", target, errno);
    if (auto closed = copy->close(target); !closed) return propagate(closed);
    return Verdict::kTaken;
  }

  void remove_what_was_made() {
    for (auto& [key, file] : copier_.known_)
      if (std::ranges::find(made_, file.copy) != made_.end()) file.copy.clear();
    while (!made_.empty()) {
      ::remove(made_.back().c_str());
      made_.pop_back();
    }
  }

  EntryCopier& copier_;
  const Entry& entry_;
  const Place& place_;
  manifest::Sums missing_;  // what of the list was not found yet
  std::vector<std::string>& refusals_;
  std::vector<std::string> made_;  // each behind the directory it lies in
};

EntryCopier::EntryCopier(std::string target) : target_(std::move(target)), buffer_(kBufferBytes) {}

Result<std::optional<Digest>> EntryCopier::copy(const Entry& entry, const Place& place,
                                                std::vector<std::string>& refusals) {
  return Job(*this, entry, place, refusals).run();
}

}  // namespace capsem::guest::init
