// The sink of a VM with a name: what is added waits in memory, and a thread of the store's own
// writes it to audit.db. Who adds never waits for a disk: what a guest causes faster than it can be
// written is counted, and left out.
#pragma once

#include <chrono>
#include <condition_variable>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <mutex>
#include <span>
#include <string>
#include <thread>
#include <vector>

#include "audit/sink.h"
#include "audit/writer.h"

namespace capsem::audit {

// What a monitor that is killed may take with it: the records of its last second. A batch begins
// kBatchDelay after its first record at the latest, and the rest is for the disk.
inline constexpr std::chrono::milliseconds kCrashWindow{1000};
inline constexpr std::chrono::milliseconds kBatchDelay{250};

struct Limits {
  std::uint64_t file_bytes = 64 << 20;  // its write-ahead log comes on top, some MiB
  std::size_t waiting_records = 16'384;
  std::size_t waiting_bytes = 8 << 20;
};

class Store final : public Sink {
 public:
  // `directory`: the VM's of state. The file is opened by the thread. `warn` is called by it too,
  // never twice in a row with the same words.
  Store(std::filesystem::path directory, Warn warn, Limits limits = {});
  ~Store() override { close(); }

  std::uint64_t new_connection() override;
  void add(Record record) override;

  // Writes all that was added, and ends the thread. What is added later is left out. It waits for
  // the disk, so it is for the time after the event loop, or beside it.
  void close();

 private:
  struct Batch {
    std::vector<Record> records;
    std::uint64_t dropped = 0;
    bool is_last = false;
  };

  void run();
  Batch next_batch();
  void write(Writer& writer, Batch& batch);
  void write(Writer& writer, std::span<const Record> records);
  void warn(const std::string& text);

  Limits limits_;
  Warn warn_;
  std::string last_warning_;       // of the thread
  std::uint64_t not_written_ = 0;  // of the thread: records that an error kept out of the file

  std::mutex mutex_;  // over what follows
  std::condition_variable changed_;
  std::vector<Record> waiting_;
  std::size_t waiting_bytes_ = 0;
  std::uint64_t dropped_ = 0;
  std::uint64_t connections_ = 0;
  bool closing_ = false;

  std::thread thread_;  // last: it uses all of the above
};

}  // namespace capsem::audit
