#include "api/vm_record.h"

#include <ctime>
#include <utility>

#include "base/file.h"
#include "base/text.h"

namespace capsem::api {

namespace {
constexpr std::uint64_t kRecordLimitBytes = 64 << 10;
constexpr std::uint64_t kBootIdLimitBytes = 4096;
}  // namespace

void set_state(VmRecord& record, RecordedState state, std::string reason) {
  record.state = state;
  record.reason = std::move(reason);
  record.changed_at = static_cast<std::uint64_t>(std::time(nullptr));
}

Result<std::string> host_boot_id() {
  auto text = read_file("/proc/sys/kernel/random/boot_id", kBootIdLimitBytes);
  if (!text) return text;
  return std::string(trim(*text));
}

Result<VmRecord> read_record(const std::filesystem::path& directory) {
  auto file = directory / kRecordFile;
  auto text = read_file(file, kRecordLimitBytes);
  if (!text) return propagate(text);
  auto record = parse_vm_record(*text);
  if (!record) return propagate(record, "use", file);
  return record;
}

Result<> write_record(const std::filesystem::path& directory, const VmRecord& record) {
  return write_file_atomically(directory / kRecordFile, to_json(record) + "\n", 0600);
}

}  // namespace capsem::api
