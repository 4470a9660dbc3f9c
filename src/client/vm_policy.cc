#include "client/vm_policy.h"

#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <cstdint>

#include "api/vm_record.h"
#include "base/file.h"

namespace capsem::client {
namespace {

constexpr std::uint64_t kLimitBytes = 4 << 20;

}  // namespace

Result<> write_policy(const std::filesystem::path& directory, std::string_view text) {
  constexpr unsigned kOwnersOnly = 0600;
  return write_file_atomically(directory / api::kPolicyFile, text, kOwnersOnly);
}

Result<std::string> read_policy(const std::filesystem::path& directory) {
  auto text = read_file(directory / api::kPolicyFile, kLimitBytes);
  if (!text && text.error().kind() == ErrorKind::kNotFound) return std::string();
  return text;
}

Result<Fd> open_policy(const std::filesystem::path& directory) {
  auto text = read_policy(directory);
  if (!text) return propagate(text);
  return policy_in_memory(*text);
}

Result<Fd> policy_in_memory(std::string_view text) {
  const std::string name = "the network's policy";
  Fd file(::memfd_create("policy", MFD_CLOEXEC));
  if (!file) return fail_system("hold", name, errno);
  if (auto written = write_full(file, as_bytes(text), name); !written) return propagate(written);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_system("hold", name, errno);
  return file;
}

}  // namespace capsem::client
