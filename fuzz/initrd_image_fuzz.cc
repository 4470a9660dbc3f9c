// A stranger's image: every record and body read, verified and compared with itself, in bounded
// memory and time. In pieces of any size it reads the same.
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <optional>
#include <span>
#include <string_view>

#include "base/sha256.h"
#include "base/stream.h"
#include "initrd/diff.h"
#include "initrd/image.h"
#include "initrd/verify.h"

namespace {

using capsem::Input;
using capsem::MemoryInput;
using capsem::Result;

constexpr std::uint64_t kLimitBytes = 8 << 20;

// Shows no more than was asked for, as a slow pipe does.
class Trickle : public Input {
 public:
  explicit Trickle(std::span<const std::byte> bytes) : rest_(bytes) {}
  Result<std::span<const std::byte>> peek(std::size_t wanted) override {
    return rest_.first(std::min(rest_.size(), wanted));
  }

 private:
  void drop(std::size_t count) override { rest_ = rest_.subspan(count); }

  std::span<const std::byte> rest_;
};

// A hash of all that the reader says.
class Account {
 public:
  void add(std::string_view text) {
    hash_.update(std::as_bytes(std::span(text.data(), text.size())));
  }
  void add(std::uint64_t number) { hash_.update(std::as_bytes(std::span(&number, 1))); }
  void add(std::span<const std::byte> bytes) { hash_.update(bytes); }
  capsem::Digest finish() { return hash_.finish(); }

 private:
  capsem::Sha256 hash_;
};

Result<> read_body(capsem::initrd::ImageReader& reader, Account& account) {
  for (;;) {
    auto piece = reader.body();
    if (!piece) return capsem::propagate(piece);
    if (piece->empty()) return {};
    account.add(*piece);
  }
}

// Nothing for an image that cannot be read to its end.
std::optional<capsem::Digest> read(Input& input) {
  Account account;
  capsem::initrd::ImageReader reader(input, kLimitBytes);
  reader.on_segment([&account](const capsem::initrd::Segment& segment) {
    account.add(segment.offset);
    account.add(segment.bytes);
    account.add(segment.archive_bytes);
  });
  for (;;) {
    auto record = reader.next();
    if (!record) return std::nullopt;
    if (*record == nullptr) return account.finish();
    account.add((*record)->path);
    account.add((*record)->header.mode);
    if (!read_body(reader, account)) return std::nullopt;
  }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  auto bytes = std::as_bytes(std::span(data, size));
  MemoryInput whole(bytes);
  Trickle pieces(bytes);
  if (read(whole) != read(pieces)) std::abort();

  MemoryInput image(bytes);
  auto findings = capsem::initrd::verify(image, nullptr, kLimitBytes);
  if (!findings) std::abort();  // what is wrong with an image is never a failure to read it

  MemoryInput before(bytes);
  MemoryInput after(bytes);
  auto differences = capsem::initrd::diff({before, "A"}, {after, "B"},
                                          {.times = true, .limit_bytes = kLimitBytes});
  if (differences && !differences->empty()) std::abort();
  return 0;
}
