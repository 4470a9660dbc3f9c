// Reads an image in a thread of its own, so that decompressing it and writing what is in it happen
// at once. What lies between the two is bounded.
#pragma once

#include <array>
#include <condition_variable>
#include <cstdint>
#include <mutex>
#include <optional>
#include <span>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "base/error.h"
#include "initrd/image.h"
#include "initrd/selection.h"
#include "initrd/tree_writer.h"

namespace capsem::initrd {

struct Step {
  enum class Kind {
    kRecord,   // `entry`
    kBody,     // the next `bytes` of Batch::bytes belong to the last record
    kEnd,      // its body is whole, and as its checksum says
    kSkipped,  // Linux makes nothing of `entry`: `why`
  };
  Kind kind = Kind::kRecord;
  Entry entry;
  std::size_t bytes = 0;
  std::string_view why;
};

// Some steps that follow each other.
struct Batch {
  std::vector<Step> steps;
  std::vector<std::byte> bytes;
  std::size_t cost_bytes = 0;
  bool last = false;
  std::optional<Error> error;  // with the last: why the image could not be read to its end
};

class ReadAhead {
 public:
  // Both have to outlive it, and nobody else may use `image` meanwhile.
  ReadAhead(ImageReader& image, const Selection& selection);

  // The next batch; nothing may be asked for after the last. Valid until the next call.
  const Batch& next();

 private:
  static constexpr std::size_t kBatches = 8;

  void run(const std::stop_token& stop);
  bool read_record(const std::stop_token& stop);
  bool read_body(const std::stop_token& stop);
  bool put(Step step, const std::stop_token& stop);
  bool put_body(std::span<const std::byte> piece, const std::stop_token& stop);
  bool hand_over(const std::stop_token& stop);
  Batch& current() { return batches_.at(written_ % kBatches); }

  ImageReader& image_;
  const Selection& selection_;
  std::array<Batch, kBatches> batches_;
  std::size_t written_ = 0;  // batches handed over; the thread's own
  std::size_t taken_ = 0;    // batches given out; the reader's own
  std::mutex mutex_;
  std::condition_variable_any changed_;
  std::size_t ready_ = 0;  // batches that the thread may not touch
  std::jthread thread_;    // the last, as it uses all the others
};

}  // namespace capsem::initrd
