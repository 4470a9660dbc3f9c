#include "api/vm_record.h"

#include "base/file.h"

namespace capsem::api {

namespace {
constexpr std::uint64_t kRecordLimitBytes = 64 << 10;
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
