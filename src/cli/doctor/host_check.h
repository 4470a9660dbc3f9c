// What `capsem doctor` checks of this machine, without a VM. A check looks and says what it saw;
// none changes anything. A new one is a function and a row of the table in host_check.cc.
#pragma once

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "manifest/manifest.h"
#include "prepare/layout.h"
#include "vm/accelerator.h"

namespace capsem::cli {

enum class Health {
  kOk,
  kWarning,  // capsem works, though not as well as it could
  kProblem,  // something will fail
};

const char* name(Health health);

// What a check saw, each part in one line.
struct Observation {
  Health health = Health::kOk;
  std::string seen;
  std::string advice;  // what to do about it; empty when it is well
};

// All that checks look at. What the system decides can be replaced by tests.
struct Host {
  Result<prepare::Layout> layout;
  Result<manifest::Manifest> manifest;
  vm::AcceleratorQuery accelerator;
  std::filesystem::path temporary;  // where temporary files go
  Result<std::uint64_t> (*available_bytes)(const std::filesystem::path& directory);
  bool deep = false;  // read everything, also what did not change since it was last read

  // The machine as it is, for the layout around the running executable.
  static Host find(bool deep);
};

// Free space for this user on the file system of `directory`, in bytes.
Result<std::uint64_t> available_bytes(const std::filesystem::path& directory);

// What a check cannot do without; the check that finds it missing says so, the others are left out.
enum class Needs { kNothing, kLayout, kManifest };

struct HostCheck {
  const char* name;
  Needs needs;
  Observation (*look)(const Host& host);
};

std::span<const HostCheck> host_checks();

struct CheckResult {
  const char* name = nullptr;
  Observation observation;
  std::chrono::milliseconds took{};
};

// Runs all checks that have what they need, in the table's order.
std::vector<CheckResult> run_host_checks(const Host& host);

// The report as text, coloured if asked for, and as JSON.
std::string report_text(std::span<const CheckResult> results, bool coloured);
std::string report_json(std::span<const CheckResult> results);

}  // namespace capsem::cli
