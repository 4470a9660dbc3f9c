// Boots the candidates of `--codec auto` on this host's QEMU.
#pragma once

#include <filesystem>
#include <optional>

#include "prepare/codec_choice.h"
#include "vm/machine.h"

namespace capsem::cli {

class TrialBoot final : public prepare::TrialMachine {
 public:
  // `cache` is where the accelerator's verdict is remembered.
  explicit TrialBoot(std::filesystem::path cache) : cache_(std::move(cache)) {}

  Result<std::string> identity() override;
  Result<std::chrono::duration<double, std::milli>> boot(const assets::Assets& assets,
                                                         const Fd& image) override;

 private:
  Result<vm::Accelerator> accelerator();

  std::filesystem::path cache_;
  std::optional<vm::Accelerator> accelerator_;
};

}  // namespace capsem::cli
