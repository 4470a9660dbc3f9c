#include "audit/store.h"

#include <algorithm>
#include <utility>
#include <variant>

#include "audit/clean.h"
#include "base/overloaded.h"
#include "base/signals_blocked.h"

namespace capsem::audit {
namespace {

// Far less than what a file may grow over its limit for a moment.
constexpr std::size_t kMaxTransactionBytes = 4 << 20;

void set_time(Record& record) {
  auto set = [](TimePoint& at) {
    if (at == TimePoint()) at = std::chrono::system_clock::now();
  };
  std::visit(Overloaded{[&](NameAsked& each) { set(each.at); },
                        [&](Dropped& each) { set(each.at); }, [&](auto& each) { set(each.begin); }},
             record);
}

}  // namespace

Store::Store(std::filesystem::path directory, Warn warn, Limits limits)
    : limits_(limits), warn_(std::move(warn)) {
  // The thread begins with the mask of the one that makes it: signals are the loop's.
  SignalsBlocked blocked;
  thread_ = std::thread([this, directory = std::move(directory)] {
    Writer writer(directory, limits_.file_bytes,
                  [this](const std::string& text) { this->warn(text); });
    if (auto opened = writer.open(); !opened) this->warn(opened.error().message());
    for (bool is_last = false; !is_last;) {
      auto batch = next_batch();
      is_last = batch.is_last;
      write(writer, batch);
    }
  });
}

std::uint64_t Store::new_connection() {
  std::lock_guard lock(mutex_);
  return ++connections_;
}

void Store::add(Record record) {
  set_time(record);
  auto bytes = cut(record);
  bool wakes = false;
  {
    std::lock_guard lock(mutex_);
    if (closing_ || waiting_.size() >= limits_.waiting_records ||
        waiting_bytes_ + bytes > limits_.waiting_bytes) {
      ++dropped_;
      return;
    }
    waiting_bytes_ += bytes;
    waiting_.push_back(std::move(record));
    wakes = waiting_.size() == 1 || waiting_.size() == limits_.waiting_records / 2;
  }
  if (wakes) changed_.notify_one();
}

Store::Batch Store::next_batch() {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [this] { return closing_ || !waiting_.empty(); });
  // Each commit is synced to the disk, so it is for all that come at about the same time.
  changed_.wait_for(lock, kBatchDelay, [this] {
    return closing_ || waiting_.size() >= limits_.waiting_records / 2 ||
           waiting_bytes_ >= limits_.waiting_bytes / 2;
  });
  Batch batch{.records = std::exchange(waiting_, {}),
              .dropped = std::exchange(dropped_, 0),
              .is_last = closing_};
  waiting_bytes_ = 0;
  return batch;
}

void Store::write(Writer& writer, Batch& batch) {
  if (batch.dropped > 0) warn("network traffic comes faster than its log can be written");
  not_written_ += batch.dropped;
  if (not_written_ > 0)
    batch.records.emplace_back(
        Dropped{.at = std::chrono::system_clock::now(), .records = not_written_});
  std::span<Record> rest(batch.records);
  while (!rest.empty()) {
    std::size_t count = 0;
    for (std::size_t bytes = 0; count < rest.size() && bytes < kMaxTransactionBytes; ++count)
      bytes += clean(rest[count]);
    write(writer, rest.first(count));
    rest = rest.subspan(count);
  }
}

void Store::write(Writer& writer, std::span<const Record> records) {
  const auto* dropped = std::get_if<Dropped>(&records.back());
  if (auto written = writer.write(records); !written) {
    not_written_ += records.size() - (dropped == nullptr ? 0 : 1);
    warn("the network log misses records: " + written.error().message());
  } else if (dropped != nullptr) {
    not_written_ -= std::min(not_written_, dropped->records);
  }
}

void Store::warn(const std::string& text) {
  if (text != std::exchange(last_warning_, text)) warn_(text);
}

void Store::close() {
  {
    std::lock_guard lock(mutex_);
    closing_ = true;
  }
  changed_.notify_one();
  if (thread_.joinable()) thread_.join();
}

}  // namespace capsem::audit
