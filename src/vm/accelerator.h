// Which accelerator a machine gets: the user's choice, checked by a probe whose verdict is
// remembered until the host is booted again.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>

#include "async/task.h"
#include "base/error.h"
#include "vm/machine.h"
#include "vm/probe.h"

namespace capsem::vm {

// The word after --accel.
enum class AcceleratorChoice { kAuto, kKvm, kTcg };

// kInvalid, with the words there are, for any other.
Result<AcceleratorChoice> parse_accelerator(std::string_view word);

// Where to look; everything but the cache directory has a value fit for use.
struct AcceleratorQuery {
  AcceleratorChoice choice = AcceleratorChoice::kAuto;
  std::filesystem::path cache_directory;  // e.g. ~/.cache/capsem; made when missing
  std::filesystem::path kvm_device = "/dev/kvm";
  std::filesystem::path boot_id = "/proc/sys/kernel/random/boot_id";
  bool remember = true;  // false: a verdict found just now is not written to the cache
  Probe probe;
};

struct Verdict {
  Accelerator accelerator = Accelerator::kTcg;
  // Why KVM is not used though it might be: a sentence for the user; empty otherwise.
  std::string reason;
  // The same in two parts: what is in KVM's way, and what to do about it, which may be empty.
  std::string obstacle;
  std::string advice;
  // The reason was found just now, not remembered from an earlier run of this boot of the host.
  bool fresh = false;
};

// Decides. kTcg is taken as it is; kKvm is an error where KVM does not work (probed again, should
// the remembered verdict be bad); kAuto falls back to TCG with a reason.
Task<Result<Verdict>> choose_accelerator(boost::asio::any_io_executor executor,
                                         AcceleratorQuery query);

// What to tell of a machine that was started with KVM and did not come up: `failure`, and, where it
// advises nothing else, that KVM may be the cause. The verdict in `cache_directory`, by which KVM
// works, is forgotten, so that the next run probes again.
Error after_kvm_failed(const std::filesystem::path& cache_directory, Error failure);

}  // namespace capsem::vm
