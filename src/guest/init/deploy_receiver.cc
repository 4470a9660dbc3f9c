#include "guest/init/deploy_receiver.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <variant>

#include "base/file.h"
#include "base/text.h"
#include "manifest/check_table.h"
#include "manifest/policy.h"
#include "manifest/table.h"
#include "wire/exact.h"

namespace capsem::guest::init {
namespace {

const std::string kHost = "the host";

std::unexpected<Error> refuse(std::string subject, std::string reason) {
  return fail("accept", std::move(subject), std::move(reason), "", ErrorKind::kInvalid);
}

template <class Message>
Result<Message> expect(const Fd& connection, const char* what) {
  auto message = wire::read_message<wire::HostDeploy>(connection, kHost);
  if (!message) return propagate(message);
  if (auto* found = std::get_if<Message>(&*message)) return std::move(*found);
  return refuse("the deploy", std::string("the host did not send ") + what);
}

class ItemWriter {
 public:
  ItemWriter(const Fd& connection, const manifest::Manifest& manifest, std::string root)
      : connection_(connection), manifest_(manifest), root_(std::move(root)) {}

  Result<> take(const wire::DeployItem& item) {
    if (item.paths.empty()) return refuse("an item", "it has no path");
    for (const auto& path : item.paths) {
      if (++items_ > kMostItems) return refuse("the deploy", "it has too many items");
      if (auto fits = check_path(path); !fits) return fits;
      auto parent = target(path);
      parent.resize(parent.rfind('/'));
      if (auto made = make_directories(parent, manifest::kParentMode); !made) return made;
    }
    if (item.bytes > kMostItemBytes - bytes_)
      return refuse(printable(item.paths.front()), "the deploy is too large");
    bytes_ += item.bytes;
    return item.directory ? make_directory(item) : take_file(item);
  }

 private:
  std::string target(const std::string& path) const { return root_ + path; }

  Result<> check_path(const std::string& path) const {
    auto holds = [&](const manifest::Entry& entry) {
      return !entry.is_init() && entry.in_initrd &&
             (path == entry.path || path.starts_with(entry.path + "/"));
    };
    if (path.starts_with('/') && !manifest::leads_elsewhere(path) && !path.contains('\0') &&
        std::ranges::any_of(manifest_.entries, holds))
      return {};
    return refuse(printable(path), "it is no entry of the initrd");
  }

  Result<> make_directory(const wire::DeployItem& item) const {
    for (const auto& path : item.paths) {
      const auto made = target(path);
      if (::mkdir(made.c_str(), 0700) != 0) return fail_system("receive", printable(path), errno);
      if (::chmod(made.c_str(), item.mode & 07777) != 0)
        return fail_system("set the mode of", printable(path), errno);
    }
    return {};
  }

  Result<> take_file(const wire::DeployItem& item) const {
    const auto& path = item.paths.front();
    auto file = open_file(target(path), O_WRONLY | O_CREAT | O_EXCL, 0600);
    if (!file) return propagate(file, "receive", printable(path));
    for (auto left = item.bytes; left > 0;) {
      auto data = expect<wire::DeployData>(connection_, "all of an item");
      if (!data) return propagate(data, "receive", printable(path));
      if (data->data.size() > left || data->data.empty())
        return refuse(printable(path), "its content is not as long as it was said to be");
      if (auto written = write_full(*file, as_bytes(data->data), path); !written) return written;
      left -= data->data.size();
    }
    if (::fchmod(file->get(), item.mode & 07777) != 0)
      return fail_system("set the mode of", printable(path), errno);
    if (auto closed = file->close(path); !closed) return closed;
    for (std::size_t i = 1; i < item.paths.size(); ++i)
      if (::link(target(path).c_str(), target(item.paths[i]).c_str()) != 0)
        return fail_system("receive", printable(item.paths[i]), errno);
    return {};
  }

  const Fd& connection_;
  const manifest::Manifest& manifest_;
  std::string root_;
  std::uint64_t bytes_ = 0;
  std::size_t items_ = 0;
};

}  // namespace

Result<Update> receive_update(const Fd& connection, const wire::DeployState& state,
                              const std::string& items) {
  auto start = expect<wire::DeployStart>(connection, "what begins one");
  if (!start) return propagate(start);
  if (start->protocol != wire::kProtocol) {
    auto told = wire::write_message<wire::GuestDeploy>(
        connection, wire::VersionMismatch{.guest_protocol = wire::kProtocol}, kHost);
    if (!told) return propagate(told);
    return refuse("the deploy", wire::version_mismatch_text(start->protocol, wire::kProtocol));
  }
  auto answered = wire::write_message<wire::GuestDeploy>(connection, state, kHost);
  if (!answered) return propagate(answered);
  auto set = expect<wire::DeploySet>(connection, "what the guest is to run");
  if (!set) return propagate(set);
  auto manifest = manifest::decode_table(set->table);
  if (!manifest) return propagate(manifest);
  if (auto fits = manifest::check_table(*manifest); !fits) return propagate(fits);
  auto sums = manifest::decode_sums(set->sums, "the hashes");
  if (!sums) return propagate(sums);
  Update update{.manifest = std::move(*manifest), .sums = std::move(*sums), .items = items};
  ItemWriter writer(connection, update.manifest, items);
  for (;;) {
    auto message = wire::read_message<wire::HostDeploy>(connection, kHost);
    if (!message) return propagate(message);
    if (std::holds_alternative<wire::DeployEnd>(*message)) return update;
    const auto* item = std::get_if<wire::DeployItem>(&*message);
    if (item == nullptr) return refuse("the deploy", "the host sent something else than an item");
    if (auto taken = writer.take(*item); !taken) return propagate(taken);
  }
}

}  // namespace capsem::guest::init
