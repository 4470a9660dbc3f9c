// Reads the secrets of the policy where they are on the host, as requests need them.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <optional>
#include <string>

#include "async/latch.h"
#include "async/task.h"
#include "base/error.h"
#include "host/net/policy_secret.h"

namespace capsem::host::net {

class SecretValues {
 public:
  // Answers have what is shorter by chance too, and it would be taken out of them.
  static constexpr std::size_t kLeastBytes = 8;
  static constexpr std::size_t kMostBytes = 4096;
  static constexpr std::chrono::seconds kCommandLimit{30};
  // A file that was changed is read again after this time.
  static constexpr std::chrono::seconds kFileCache{2};

  explicit SecretValues(const boost::asio::any_io_executor& executor) : executor_(executor) {}
  // The owner goes when nobody waits any more.
  SecretValues(const SecretValues&) = delete;
  SecretValues& operator=(const SecretValues&) = delete;

  // That there is none is known for so long.
  static constexpr std::chrono::seconds kFailureCache{5};

  // The secret without the end of its line. Who asks while it is being read gets the same.
  // kInvalid for what can be none.
  Task<Result<std::string>> read(SecretSource source);

  // Reads each anew from here on.
  void forget() { kept_.clear(); }

 private:
  using Clock = std::chrono::steady_clock;
  struct Kept {
    Result<std::string> value;
    Clock::time_point until;
  };
  // One that is under way, for all who wait for it; without a value it was given up.
  struct Shared {
    async::Latch ended;
    std::optional<Result<std::string>> value;
  };
  class Reading;

  Task<Result<std::string>> read_anew(const SecretSource& source);

  boost::asio::any_io_executor executor_;
  std::map<SecretSource, Kept> kept_;
  std::map<SecretSource, std::shared_ptr<Shared>> under_way_;
};

}  // namespace capsem::host::net
