#include "assets/debian.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <ctime>

#include "assets/debian_errors.h"
#include "assets/debian_hooks.h"
#include "assets/scratch.h"
#include "assets/sources_list.h"
#include "assets/watched_program.h"
#include "base/directory.h"
#include "base/file.h"
#include "base/sha256.h"
#include "base/text.h"

namespace capsem::assets {
namespace {

namespace fs = std::filesystem;

constexpr const char* kSuite = "bookworm";
constexpr const char* kArchitecture = "amd64";
constexpr const char* kKernelPackage = "linux-image-cloud-amd64";
constexpr const char* kAlwaysInstalled = "kmod";  // for depmod, when the tree is made

constexpr const char* kTreeName = "tree.tar";
constexpr const char* kKernelName = "kernel.deb";
constexpr const char* kMadeAtName = "made-at";
constexpr const char* kPackagesName = "packages";

// What mmdebstrap says it does, and what that is to a person.
struct Phase {
  std::string_view said;
  std::string_view step;
};
constexpr Phase kPhases[] = {
    {"I: running apt-get update", "asking the registry for its packages"},
    {"I: extracting archives", "unpacking Debian's base"},
    {"I: creating tarball", "storing the unpacked packages"},
};
constexpr std::string_view kAllDownloaded = "I: installing essential packages";

std::string quoted(const fs::path& path) {
  std::string text = "'";
  for (char c : path.string()) text += c == '\'' ? std::string("'\\''") : std::string(1, c);
  return text + "'";
}

// Everything about the tree that is not a path of this machine: what the cache is known by.
std::vector<std::string> options_of_set(const PackageSet& set) {
  return {"--variant=apt", std::string("--architectures=") + kArchitecture,
          "--include=" + std::string(kAlwaysInstalled) +
              (set.packages.empty() ? "" : "," + join(set.packages, ",")),
          "--dpkgopt=path-exclude=/usr/share/man/*", "--dpkgopt=path-exclude=/usr/share/doc/*",
          "--dpkgopt=path-include=/usr/share/doc/*/copyright",
          "--dpkgopt=path-exclude=/usr/share/locale/*", "--aptopt=Acquire::Retries \"3\"",
          // Neither the empty apt cache nor the absence of packages that it checks for holds here.
          "--skip=check/qemu,download/empty,essential/unlink", "--format=tar",
          std::string("--setup-hook=") + kSetupHook, std::string("--extract-hook=") + kDownloadHook,
          std::string("--customize-hook=") + kFinishHook};
}

std::vector<std::string> hook_environment(const PackageSet& set) {
  return {std::string("CAPSEM_PACKAGES=") + kAlwaysInstalled + " " + join(set.packages, " "),
          "CAPSEM_MODULES=" + join(set.module_patterns, " "),
          std::string("CAPSEM_KERNEL=") + kKernelPackage,
          std::string("CAPSEM_ARCHITECTURE=") + kArchitecture};
}

std::string key_of(const PackageSet& set) {
  Sha256 hash;
  for (const auto& words : {options_of_set(set), hook_environment(set)})
    for (const auto& word : words) hash.update(as_bytes(word + '\n'));
  return hash.finish().hex().substr(0, 16);
}

// The parent's environment with what mmdebstrap needs. SOURCE_DATE_EPOCH is kept from it: with it
// Python checks each of its compiled modules against the source's content at every start, which is
// slow in an emulated guest.
std::vector<std::string> environment(const PackageSet& set, const fs::path& scratch) {
  std::vector<std::string> variables = hook_environment(set);
  const char* path = std::getenv("PATH");
  // An ordinary user's PATH on Debian lacks sbin, where dpkg finds ldconfig.
  variables.push_back(std::string("PATH=") + (path != nullptr ? path : "/usr/bin:/bin") +
                      ":/usr/local/sbin:/usr/sbin:/sbin");
  variables.push_back("TMPDIR=" + scratch.string());
  variables.push_back("LC_ALL=C.UTF-8");
  variables.push_back("DEBIAN_FRONTEND=noninteractive");
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view variable = *entry;
    auto name = variable.substr(0, variable.find('='));
    if (name != "PATH" && name != "TMPDIR" && name != "SOURCE_DATE_EPOCH" &&
        !name.starts_with("LC_") && !name.starts_with("LANG") && !name.starts_with("CAPSEM_"))
      variables.emplace_back(variable);
  }
  return variables;
}

// The host's proxy for apt: mmdebstrap does not read the host's configuration. The finish hook
// takes it out of the tree again.
std::vector<std::string> proxy_options() {
  auto text = run_for_output({.argv = {"apt-config", "dump", "--no-empty", "--format",
                                       "%f \"%v\";%n", "Acquire::http", "Acquire::https"}});
  std::vector<std::string> options;
  if (!text) return options;
  for (auto line : split(*text, '\n'))
    if (line.find("::Proxy") != std::string_view::npos)
      options.push_back("--aptopt=" + std::string(line));
  return options;
}

Result<> move(const fs::path& from, const fs::path& to) {
  std::error_code error;
  fs::remove_all(to, error);
  if (!error) fs::rename(from, to, error);
  if (error) return fail_system("replace", to, error.value());
  return {};
}

class TreeMaker {
 public:
  TreeMaker(const PackageSet& set, fs::path work, fs::path packages, HeldSignals& signals,
            const OnStep& on_step)
      : set_(set),
        work_(std::move(work)),
        packages_(std::move(packages)),
        signals_(signals),
        on_step_(on_step) {}

  // Makes the tree in the work directory, and puts the downloaded packages into the cache, also
  // when something fails after that.
  Result<> make(const fs::path& scratch) {
    auto tree = open_file(work_ / kTreeName, O_WRONLY | O_CREAT | O_TRUNC, 0644);
    if (!tree) return propagate(tree);
    auto nothing = open_file("/dev/null", O_RDONLY);
    if (!nothing) return propagate(nothing);
    auto argv = arguments();
    if (!argv) return propagate(argv);
    Command command{.argv = std::move(*argv),
                    .environment = environment(set_, scratch),
                    .fds = {{0, nothing->get()}, {1, tree->get()}}};
    auto status =
        run_watched(std::move(command), signals_, [this](std::string_view line) { hear(line); });
    if (downloaded_)
      if (auto moved = move(work_ / kPackagesName, packages_); !moved) return moved;
    if (!status) return propagate(status);
    if (!status->success()) return std::unexpected(diagnose_packages(lines_, status->describe()));
    return tree->close(work_ / kTreeName);
  }

 private:
  Result<std::vector<std::string>> arguments() const {
    std::vector<std::string> argv = {"mmdebstrap"};
    for (const auto& option : options_of_set(set_)) {
      // The special hooks pass through mmdebstrap's own process: they reach this user's folders
      // also when the tree belongs to a user namespace.
      if (option.starts_with("--extract-hook="))
        argv.push_back("--setup-hook=sync-in " + quoted(packages_) + " /var/cache/apt/archives");
      argv.push_back(option);
      if (!option.starts_with("--extract-hook=")) continue;
      argv.push_back("--extract-hook=copy-out " + std::string(kKernelInTree) + " " + quoted(work_));
      argv.push_back("--extract-hook=sync-out /var/cache/apt/archives " +
                     quoted(work_ / kPackagesName));
    }
    for (auto& option : proxy_options()) argv.push_back(std::move(option));
    argv.insert(argv.end(), {kSuite, "-"});
    auto sources = host_sources("/etc/apt", kSuite);
    for (const auto& [name, text] : {std::pair("sources.list", &sources.one_line),
                                     std::pair("debian.sources", &sources.deb822)}) {
      if (text->empty()) continue;
      if (auto written = write_file_atomically(work_ / name, *text); !written)
        return propagate(written);
      argv.push_back(work_ / name);
    }
    return argv;
  }

  void hear(std::string_view line) {
    lines_.emplace_back(line);
    if (line.starts_with(kHookMark)) {
      on_step_(std::string(trim(line.substr(std::string_view(kHookMark).size()))));
      return;
    }
    if (line.starts_with(kAllDownloaded)) downloaded_ = true;
    for (const auto& phase : kPhases)
      if (line.starts_with(phase.said)) on_step_(std::string(phase.step));
  }

  const PackageSet& set_;
  fs::path work_;
  fs::path packages_;
  HeldSignals& signals_;
  const OnStep& on_step_;
  std::vector<std::string> lines_;
  bool downloaded_ = false;
};

// The trees of other sets: one is kept.
Result<> remove_other_trees(const fs::path& cache, const std::string& kept) {
  auto names = names_in(cache);
  if (!names) return propagate(names);
  for (const auto& name : *names) {
    if (!name.starts_with("tree-") || name == kept) continue;
    std::error_code error;
    fs::remove_all(cache / name, error);
    if (error) return fail_system("remove", cache / name, error.value());
  }
  return {};
}

Result<DebianTree> opened(const fs::path& directory) {
  auto text = read_file(directory / kMadeAtName, 64);
  if (!text) return propagate(text);
  DebianTree tree{.tree = directory / kTreeName, .kernel = directory / kKernelName};
  tree.made_at = std::strtoll(text->c_str(), nullptr, 10);
  return tree;
}

}  // namespace

Result<DebianTree> debian_tree(const PackageSet& set, const fs::path& cache, bool refresh,
                               HeldSignals& signals, const OnStep& on_step) {
  auto packages = cache / kPackagesName;
  if (auto made = make_directories(packages); !made) return propagate(made);
  auto lock = lock_file(cache / "lock", LockMode::kExclusive);
  if (!lock) return propagate(lock);
  auto name = "tree-" + key_of(set);
  if (!refresh) {
    auto kept = opened(cache / name);
    if (kept) on_step("taking the packages as they were unpacked last time");
    if (kept) return kept;
  }
  if (auto can = check_can_unpack(); !can) return propagate(can);

  auto work = cache / "making";
  auto scratch = Scratch::create(cache / "scratch");
  if (!scratch) return propagate(scratch);
  std::error_code error;
  fs::remove_all(work, error);
  if (error) return fail_system("remove", work, error.value());
  if (auto made = make_directories(work / kPackagesName); !made) return propagate(made);
  auto made_at = std::to_string(std::time(nullptr) - 1);

  TreeMaker maker(set, work, packages, signals, on_step);
  auto made = maker.make(scratch->path());
  if (made) made = move(work / fs::path(kKernelInTree).filename(), work / kKernelName);
  if (made) made = write_file_atomically(work / kMadeAtName, made_at);
  if (made) made = move(work, cache / name);
  if (!made) {
    fs::remove_all(work, error);
    return propagate(made);
  }
  if (auto removed = remove_other_trees(cache, name); !removed) return propagate(removed);
  return opened(cache / name);
}

}  // namespace capsem::assets
