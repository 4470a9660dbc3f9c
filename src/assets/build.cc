#include "assets/build.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <cerrno>

#include "assets/config_list.h"
#include "assets/debian.h"
#include "assets/kernel_image.h"
#include "assets/kernel_package.h"
#include "assets/module_segment.h"
#include "assets/publish.h"
#include "assets/rootfs.h"
#include "base/file.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr const char* kArchitecture = "x86_64";
constexpr int kSteps = 4;
constexpr std::uint64_t kMaxKernelBytes = 256 << 20;

class Builder {
 public:
  Builder(const BuildOptions& options, const Progress& progress, HeldSignals& signals,
          fs::path staging)
      : options_(options), progress_(progress), signals_(signals), staging_(std::move(staging)) {}

  Result<> run() {
    if (auto read = read_lists(); !read) return read;
    auto inputs = collect_inputs(options_.guest);
    if (!inputs) return propagate(inputs);
    index_ = {.architecture = kArchitecture, .inputs = std::move(*inputs)};
    using Step = Result<> (Builder::*)();
    for (Step step : {&Builder::unpack_packages, &Builder::take_kernel, &Builder::pack_modules,
                      &Builder::pack_rootfs}) {
      ++step_;
      if (auto done = (this->*step)(); !done) return done;
      if (auto number = signals_.ending()) return fail_interrupted("build", "the assets", *number);
    }
    return finish();
  }

 private:
  void say(const std::string& what) const {
    progress_("assets: [" + std::to_string(step_) + "/" + std::to_string(kSteps) + "] " + what);
  }

  // All of them before anything takes its time.
  Result<> read_lists() {
    struct Row {
      const char* name;
      const ItemRule& rule;
      std::vector<std::string>& items;
    };
    for (const auto& row : {Row{kPackagesList, kPackageName, packages_.packages},
                            Row{kRootfsModulesList, kModulePattern, packages_.module_patterns},
                            Row{kBootModulesList, kModuleName, boot_modules_}}) {
      auto items = read_list(options_.guest.config / row.name, row.rule);
      if (!items) return propagate(items);
      row.items = std::move(*items);
    }
    return {};
  }

  Result<> unpack_packages() {
    auto tree = debian_tree(packages_, options_.cache / "debian", options_.refresh, signals_,
                            [this](const auto& what) { say(what); });
    if (!tree) return propagate(tree);
    debian_ = std::move(*tree);
    return {};
  }

  Result<> take_kernel() {
    say("taking the kernel out of its package");
    auto kernel = unpack_kernel_package(debian_.kernel, staging_ / "kernel");
    if (!kernel) return propagate(kernel);
    kernel_ = std::move(*kernel);
    index_.kernel_release = kernel_.release;
    auto image = read_file(kernel_.image, kMaxKernelBytes);
    if (!image) return propagate(image);
    if (auto written = write(kCompressedKernelName, as_bytes(*image)); !written) return written;
    auto vmlinux = extract_payload(as_bytes(*image));
    if (!vmlinux) return propagate(vmlinux);
    // Without the entry it is not bootable by itself: then the bzImage is what boots.
    return has_pvh_entry(*vmlinux) ? write(kKernelName, *vmlinux) : Result<>();
  }

  Result<> pack_modules() {
    say("packing the modules for the boot");
    auto segment = make_module_segment(kernel_.modules, boot_modules_);
    if (!segment) return propagate(segment);
    if (auto written = write(kModulesName, *segment); !written) return written;
    std::error_code error;
    fs::remove_all(staging_ / "kernel", error);
    if (error) return fail_system("remove", staging_ / "kernel", error.value());
    return {};
  }

  Result<> pack_rootfs() {
    say("packing the rootfs");
    auto path = staging_ / kRootfsName;
    auto made = make_rootfs(debian_, options_.guest, path, signals_);
    if (!made) return made;
    return add_to_index(kRootfsName);
  }

  Result<> finish() {
    if (auto written = write_file_atomically(staging_ / kIndexName, encode_index(index_)); !written)
      return written;
    return publish(options_.directory);
  }

  Result<> write(const char* name, std::span<const std::byte> content) {
    auto path = staging_ / name;
    auto file = open_file(path, O_WRONLY | O_CREAT | O_EXCL, 0644);
    if (!file) return propagate(file);
    if (auto written = write_full(*file, content, path); !written) return written;
    if (auto closed = file->close(path); !closed) return closed;
    return add_to_index(name);
  }

  Result<> add_to_index(const char* name) {
    auto path = staging_ / name;
    auto file = open_file(path, O_RDONLY);
    if (!file) return propagate(file);
    struct stat status{};
    if (::fstat(file->get(), &status) != 0) return fail_system("look at", path, errno);
    auto digest = sha256(*file, path);
    if (!digest) return propagate(digest);
    index_.files.push_back({name, static_cast<std::uint64_t>(status.st_size), *digest});
    return {};
  }

  const BuildOptions& options_;
  const Progress& progress_;
  HeldSignals& signals_;
  fs::path staging_;
  Index index_;
  PackageSet packages_;
  std::vector<std::string> boot_modules_;
  DebianTree debian_;
  UnpackedKernel kernel_;
  int step_ = 0;
};

// One build of a set at a time.
Result<Fd> lock_build(const fs::path& directory, const Progress& progress) {
  auto path = directory / ".lock";
  auto fd = open_file(path, O_RDWR | O_CREAT, 0644);
  if (!fd) return propagate(fd);
  if (::flock(fd->get(), LOCK_EX | LOCK_NB) == 0) return fd;
  if (errno == EWOULDBLOCK) progress("assets: waiting for another build to end");
  while (::flock(fd->get(), LOCK_EX) != 0)
    if (errno != EINTR) return fail_system("lock", path, errno);
  return fd;
}

Result<> build(const BuildOptions& options, const Signals& inherited, const Progress& progress) {
  if (auto made = make_directories(options.directory); !made) return made;
  auto lock = lock_build(options.directory, progress);
  if (!lock) return propagate(lock);
  auto signals = inherited.hold();
  if (!signals) return propagate(signals);
  if (auto finished = finish_publishing(options.directory); !finished) return finished;
  auto staging = prepare_staging(options.directory);
  if (!staging) return propagate(staging);
  auto built = Builder(options, progress, *signals, std::move(*staging)).run();
  auto removed = remove_staging(options.directory);
  return built ? removed : built;
}

}  // namespace

Result<> build_assets(const BuildOptions& options, const Signals& signals,
                      const Progress& progress) {
  constexpr const char* kAttempt = "build the assets in";
  auto built = build(options, signals, progress);
  if (built) return {};
  if (built.error().kind() == ErrorKind::kInterrupted)
    return std::unexpected(std::move(built).error().restated(kAttempt, options.directory,
                                                             "the old ones are unchanged"));
  return propagate(built, kAttempt, options.directory);
}

}  // namespace capsem::assets
