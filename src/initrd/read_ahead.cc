#include "initrd/read_ahead.h"

#include <algorithm>
#include <utility>

#include "initrd/record_rules.h"

namespace capsem::initrd {
namespace {

constexpr std::size_t kBatchBytes = 512 << 10;

}  // namespace

ReadAhead::ReadAhead(ImageReader& image, const Selection& selection)
    : image_(image),
      selection_(selection),
      thread_([this](const std::stop_token& stop) { run(stop); }) {}

const Batch& ReadAhead::next() {
  std::unique_lock lock(mutex_);
  if (taken_ > 0) {
    --ready_;
    changed_.notify_all();
  }
  changed_.wait(lock, [this] { return ready_ > 0; });
  return batches_.at(taken_++ % kBatches);
}

// False when nobody wants more.
bool ReadAhead::hand_over(const std::stop_token& stop) {
  {
    std::unique_lock lock(mutex_);
    ++ready_;
    changed_.notify_all();
    ++written_;
    // Where all are full, half have to be free again: on a busy machine every wakening waits for
    // a processor.
    const std::size_t wanted = ready_ < kBatches ? kBatches - 1 : kBatches / 2;
    if (!changed_.wait(lock, stop, [&] { return ready_ <= wanted; })) return false;
  }
  auto& batch = current();
  batch.steps.clear();
  batch.bytes.clear();
  batch.cost_bytes = 0;
  return true;
}

bool ReadAhead::put(Step step, const std::stop_token& stop) {
  auto& batch = current();
  batch.cost_bytes += sizeof(Step) + step.entry.path.size() + step.entry.target.size();
  batch.steps.push_back(std::move(step));
  return batch.cost_bytes < kBatchBytes || hand_over(stop);
}

bool ReadAhead::put_body(std::span<const std::byte> piece, const std::stop_token& stop) {
  while (!piece.empty()) {
    auto& batch = current();
    const auto bytes = std::min(piece.size(), kBatchBytes - batch.cost_bytes);
    batch.bytes.insert(batch.bytes.end(), piece.begin(),
                       piece.begin() + static_cast<std::ptrdiff_t>(bytes));
    batch.cost_bytes += bytes;
    piece = piece.subspan(bytes);
    if (!put({.kind = Step::Kind::kBody, .bytes = bytes}, stop)) return false;
  }
  return true;
}

bool ReadAhead::read_body(const std::stop_token& stop) {
  for (;;) {
    auto piece = image_.body();
    if (!piece) {
      current().error = std::move(piece).error();
      return false;
    }
    if (piece->empty()) return put({.kind = Step::Kind::kEnd}, stop);
    if (!put_body(*piece, stop)) return false;
  }
}

// False at the end.
bool ReadAhead::read_record(const std::stop_token& stop) {
  auto next = image_.next();
  if (!next) {
    current().error = std::move(next).error();
    return false;
  }
  if (*next == nullptr) return false;
  const auto& record = **next;
  auto path = selection_.path_for(record, image_.archive_number());
  if (!path) return true;
  Step step{.entry = {.header = record.header,
                      .path = std::move(*path),
                      .body_bytes = record.body_bytes,
                      .archive = image_.archive_number()}};
  if (auto why = why_skipped(record)) {
    step.kind = Step::Kind::kSkipped;
    step.why = *why;
    return put(std::move(step), stop);
  }
  if (record.header.type() == cpio::kSymlink) {
    auto target = image_.read_body(cpio::kMaxNameBytes);
    if (!target) {
      current().error = std::move(target).error();
      return false;
    }
    step.entry.target = std::move(*target);
  }
  const bool has_body = record.header.type() == cpio::kRegular;
  return put(std::move(step), stop) && (!has_body || read_body(stop));
}

void ReadAhead::run(const std::stop_token& stop) {
  while (!stop.stop_requested() && read_record(stop)) {
  }
  if (stop.stop_requested()) return;
  current().last = true;
  hand_over(stop);
}

}  // namespace capsem::initrd
