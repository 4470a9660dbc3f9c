#include "vm/accelerator.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <array>

#include "base/file.h"
#include "base/text.h"
#include "vm/verdict_cache.h"

namespace capsem::vm {
namespace {

struct Word {
  std::string_view word;
  AcceleratorChoice choice;
};

constexpr std::array kWords = {
    Word{"auto", AcceleratorChoice::kAuto},
    Word{"kvm", AcceleratorChoice::kKvm},
    Word{"tcg", AcceleratorChoice::kTcg},
};

// What can be said against KVM without starting anything.
std::optional<Finding> obstacle(const std::filesystem::path& device) {
  auto opened = open_file(device, O_RDWR);
  Finding found;
  if (opened) {
    struct stat status{};
    if (::fstat(opened->get(), &status) == 0 && S_ISCHR(status.st_mode)) return std::nullopt;
    found.reason = device.string() + " is no device";
    found.advice = "remove it and load the module kvm_intel or kvm_amd, which makes it";
    return found;
  }
  switch (opened.error().kind()) {
    case ErrorKind::kNotFound:
      found.reason = "there is no " + device.string();
      found.advice =
          "turn on virtualization in the firmware, or load the module kvm_intel or kvm_amd";
      break;
    case ErrorKind::kPermission:
      found.reason = "no permission for " + device.string();
      found.advice = "join the group kvm (sudo usermod -aG kvm $USER) and log in again";
      break;
    default:
      found.reason = "cannot open " + device.string() + ": " + opened.error().reason();
      break;
  }
  return found;
}

// All that a verdict depends on; empty, so that nothing is remembered, without a boot id.
std::string cache_key(const AcceleratorQuery& query, const std::filesystem::path& program) {
  auto boot = read_file(query.boot_id, 256);
  if (!boot) return {};
  return std::string(trim(*boot)) + " " + file_identity(program) + " " +
         file_identity(query.kvm_device);
}

Verdict fall_back(const Finding& found, bool fresh) {
  auto sentence = "KVM does not work here: " + found.reason + "; using emulation (TCG)";
  if (!found.advice.empty()) sentence += "; to use KVM, " + found.advice;
  return {.accelerator = Accelerator::kTcg,
          .reason = std::move(sentence),
          .obstacle = found.reason,
          .advice = found.advice,
          .fresh = fresh};
}

}  // namespace

Result<AcceleratorChoice> parse_accelerator(std::string_view word) {
  for (const auto& row : kWords)
    if (row.word == word) return row.choice;
  return fail("use the accelerator", "\"" + std::string(word) + "\"",
              "there is no such accelerator", "write auto, kvm or tcg", ErrorKind::kInvalid);
}

Task<Result<Verdict>> choose_accelerator(boost::asio::any_io_executor executor,
                                         AcceleratorQuery query) {
  if (query.choice == AcceleratorChoice::kTcg) co_return Verdict();
  bool required = query.choice == AcceleratorChoice::kKvm;
  auto program = find_qemu(query.probe.program);
  if (!program) co_return propagate(program);
  VerdictCache cache(query.cache_directory, cache_key(query, *program));
  auto remembered = cache.load();

  Finding found;
  auto in_the_way = obstacle(query.kvm_device);
  if (in_the_way) {
    found = *in_the_way;
  } else if (remembered && remembered->probed && (remembered->works || !required)) {
    found = *remembered;
  } else {
    query.probe.accelerator = Accelerator::kKvm;
    auto result = co_await run_probe(executor, query.probe);
    if (!result) co_return propagate(result);
    found.probed = true;
    found.works = result->works;
    found.reason = result->reason;
  }
  // A verdict that cannot be stored is found again, and said again, by the next run.
  bool fresh = !remembered || *remembered != found;
  if (fresh && query.remember) [[maybe_unused]]
    auto stored = cache.store(found);

  if (found.works) {
    Verdict verdict;
    verdict.accelerator = Accelerator::kKvm;
    verdict.fresh = fresh;
    co_return verdict;
  }
  if (required)
    co_return fail(
        "use", "KVM", found.reason,
        found.advice.empty() ? "run without --accel kvm, or with --accel tcg" : found.advice);
  co_return fall_back(found, fresh);
}

Error after_kvm_failed(const std::filesystem::path& cache_directory, Error failure) {
  VerdictCache::forget(cache_directory);
  auto advice = failure.advice().empty()
                    ? "KVM worked when it was tested; run it again, which tests KVM again, or with "
                      "--accel tcg"
                    : failure.advice();
  return Error("run", "the VM with KVM", failure.statement(), std::move(advice), failure.kind());
}

}  // namespace capsem::vm
