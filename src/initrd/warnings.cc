#include "initrd/warnings.h"

#include <algorithm>
#include <array>
#include <utility>

#include "base/text.h"
#include "initrd/record_rules.h"

namespace capsem::initrd {
namespace {

struct OddityText {
  cpio::Oddity oddity;
  std::string_view text;
};

constexpr std::array kOddities = {
    OddityText{cpio::kNameLength,
               "its name is empty or longer than 4095 bytes; Linux passes over the record"},
    OddityText{cpio::kNameCutByNul, "its name holds a NUL; Linux takes what is before it"},
    OddityText{cpio::kSymlinkTooLong,
               "its target is longer than 4096 bytes; Linux passes over the record"},
    OddityText{cpio::kBodyIgnored,
               "it has a body and is neither a file nor a symlink; Linux passes over the record"},
    OddityText{cpio::kUnknownType, "its type does not exist; Linux makes nothing of it"},
    OddityText{cpio::kZerosBefore,
               "zero bytes stand between it and the record before; Linux passes over them, cpio "
               "warns of them"},
};

struct SurpriseText {
  Surprise surprise;
  std::string_view text;  // '@' stands for what it is about
};

constexpr std::array kSurprises = {
    SurpriseText{Surprise::kNoDirectory,
                 "its directory @ does not come before it; Linux drops the record"},
    SurpriseText{Surprise::kNotADirectory, "@ is no directory; Linux drops the record"},
    SurpriseText{Surprise::kLinkLoop,
                 "its path leads through too many symlinks, at @; Linux drops the record"},
    SurpriseText{Surprise::kNameTooLong,
                 "a part of its path is longer than 255 bytes; Linux drops the record"},
    SurpriseText{
        Surprise::kDirectoryInTheWay,
        "the directory @, which is not empty, is in its way; Linux leaves the directory and "
        "drops the record, but for the owner and mode of a symlink or device"},
    SurpriseText{Surprise::kReplacesType, "an earlier record made a @ there; Linux removes that"},
    SurpriseText{Surprise::kChangesPermissions,
                 "an earlier record gave it another mode or owner; Linux takes the later ones, for "
                 "all its hard links"},
    SurpriseText{Surprise::kWritesThroughLink,
                 "an earlier record made it a hard link; Linux writes into the file of all its "
                 "names"},
    SurpriseText{Surprise::kKeepsDevice,
                 "an earlier record made a device there; Linux keeps that one's numbers"},
    SurpriseText{Surprise::kLinkFails,
                 "it is a hard link of @, which is not there any more; Linux drops the record"},
    SurpriseText{Surprise::kLinksToReplaced,
                 "something else has taken the place of the file it is a hard link of; Linux links "
                 "it to that, and writes its content where that leads"},
    SurpriseText{Surprise::kLinkWithoutBody,
                 "it is a hard link whose other names and content are not in its archive; Linux "
                 "makes an empty file"},
};

constexpr std::string_view kParentParts = "its name holds ..; Linux follows it";
constexpr std::string_view kNoTrailer =
    "its last archive has no trailer; Linux takes it, and goes on with its hard links in the next "
    "archive";
constexpr std::string_view kEarlyCompressed =
    "it is in or behind a compressed segment; before it unpacks, Linux looks for it only in the "
    "uncompressed archives that the image begins with, and ignores this one";
constexpr std::string_view kEarlyName =
    "Linux looks for @ under just that name before it unpacks, and ignores this one";
constexpr std::string_view kBootConfig =
    "Linux cuts it off before it unpacks, from 5.6 on, and reads it only with CONFIG_BOOT_CONFIG "
    "and "
    "'bootconfig' on the command line";
constexpr std::string_view kTimes =
    "its records have modification times; Linux sets them only when it was built with "
    "CONFIG_INITRAMFS_PRESERVE_MTIME";
constexpr std::string_view kNoInit =
    "there is no /init; Linux mounts the root= device and leaves this image unused";
constexpr std::string_view kInitLeadsNowhere =
    "/init: @; Linux mounts the root= device and leaves this image unused";
constexpr std::string_view kInitNotStarted =
    "Linux cannot start /init: @; it looks for another init and panics when there is none";

constexpr std::string_view kImage = "the image";

bool has_parent_part(std::string_view path) {
  if (path.find("..") == std::string_view::npos) return false;
  auto parts = split(path, '/');
  return std::ranges::find(parts, "..") != parts.end();
}

}  // namespace

void Warnings::add(std::string_view subject, std::string_view kind, std::string_view other) {
  if (++kinds_[kind] > kMaxOfAKind) return;
  std::string text(kind);
  if (auto at = text.find('@'); at != std::string::npos) text.replace(at, 1, printable(other));
  lines_.push_back((subject.empty() ? "a record without a name" : printable(subject)) + ": " +
                   text);
}

void Warnings::see_early(const cpio::Record& record, codec::Codec codec) {
  if (record.header.type() != cpio::kRegular) return;
  std::string_view path = record.path;
  while (path.starts_with("./") || path.starts_with('/')) path.remove_prefix(path.find('/') + 1);
  if (!is_early(path)) return;
  if (compressed_before_ || codec != codec::Codec::kNone)
    add(record.path, kEarlyCompressed);
  else if (path != record.path)
    add(record.path, kEarlyName, path);
}

std::vector<std::string> Warnings::refusals() {
  if (bad_numbers_ > 1)
    refusals_.push_back(std::to_string(bad_numbers_ - 1) + " more records have such a field");
  bad_numbers_ = 0;
  return std::move(refusals_);
}

void Warnings::see(const cpio::Record& record, codec::Codec codec) {
  if ((record.oddities & cpio::kBadNumber) != 0 && ++bad_numbers_ == 1)
    refusals_.push_back(
        printable(record.path) +
        ": a field of its header is no hexadecimal number of eight digits; newer "
        "kernels refuse the image, older ones take the digits that they understand");
  for (const auto& [oddity, text] : kOddities)
    if ((record.oddities & oddity) != 0) add(record.path, text);
  if (has_parent_part(record.path)) add(record.path, kParentParts);
  has_times_ = has_times_ || record.header.mtime != 0;
  see_early(record, codec);
}

void Warnings::see(Surprise surprise, std::string_view path, std::string_view other) {
  auto text = std::ranges::find(kSurprises, surprise, &SurpriseText::surprise);
  add(path, text->text, other);
}

void Warnings::see(const Segment& segment, bool has_trailer) {
  compressed_before_ = compressed_before_ || segment.codec != codec::Codec::kNone;
  if (!has_trailer) add("the segment at byte " + std::to_string(segment.offset), kNoTrailer);
}

void Warnings::see(const BootConfig& config) {
  add("the boot configuration at byte " + std::to_string(config.offset), kBootConfig);
}

std::vector<std::string> Warnings::finish(const Tree& tree, const InitCheck& init) {
  if (tree.names().find("init") == tree.names().end())
    add(kImage, kNoInit);
  else if (auto why = init.why_not(tree))
    add(kImage, tree.find("init") == nullptr ? kInitLeadsNowhere : kInitNotStarted, *why);
  return take();
}

std::vector<std::string> Warnings::take() {
  if (std::exchange(has_times_, false)) add(kImage, kTimes);
  for (const auto& [kind, count] : kinds_)
    if (count > kMaxOfAKind)
      lines_.push_back(std::to_string(count - kMaxOfAKind) + " more records: " + std::string(kind));
  return std::move(lines_);
}

}  // namespace capsem::initrd
