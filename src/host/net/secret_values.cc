#include "host/net/secret_values.h"

#include <fcntl.h>

#include <algorithm>
#include <cstdlib>
#include <span>
#include <utility>

#include "host/net/command_output.h"

namespace capsem::host::net {
namespace {

std::unexpected<Error> refuse(const SecretSource& source, std::string reason,
                              std::string advice = {}) {
  return fail("read", "a secret from " + source.text(), std::move(reason), std::move(advice),
              ErrorKind::kInvalid);
}

Result<std::string> checked(const SecretSource& source, std::string value) {
  if (value.ends_with('\n')) value.pop_back();
  if (value.ends_with('\r')) value.pop_back();
  if (value.size() < SecretValues::kLeastBytes)
    return refuse(source,
                  "it has fewer than " + std::to_string(SecretValues::kLeastBytes) + " characters");
  if (value.size() > SecretValues::kMostBytes)
    return refuse(source,
                  "it has more than " + std::to_string(SecretValues::kMostBytes) + " characters");
  const bool plain = std::ranges::all_of(value, [](char c) { return c >= ' ' && c <= '~'; });
  if (!plain) return refuse(source, "it has characters that no header may have");
  return value;
}

Result<std::string> from_environment(const SecretSource& source) {
  const char* value = std::getenv(source.words.front().c_str());
  if (value == nullptr)
    return refuse(source, "the command that started the VM had none",
                  "set it and start the VM again");
  return checked(source, value);
}

}  // namespace

// From its begin to its end, also when the one that reads is cancelled.
class SecretValues::Reading {
 public:
  Reading(SecretValues& values, const SecretSource& source)
      : values_(values),
        place_(values.under_way_.emplace(source, async::Latch(values.executor_)).first) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    place_->second.set();
    values_.under_way_.erase(place_);
  }

 private:
  SecretValues& values_;
  std::map<SecretSource, async::Latch>::iterator place_;
};

Task<Result<std::string>> SecretValues::read(SecretSource source) {
  if (source.kind == SecretSource::Kind::kEnvironment) co_return from_environment(source);
  for (;;) {
    if (auto kept = kept_.find(source); kept != kept_.end() && Clock::now() < kept->second.until)
      co_return kept->second.value;
    auto other = under_way_.find(source);
    if (other == under_way_.end()) break;
    // A copy: the one in the map goes with the reading.
    auto ended = other->second;
    co_await ended.wait();
  }
  co_return co_await read_anew(source);
}

Task<Result<std::string>> SecretValues::read_anew(const SecretSource& source) {
  Reading reading(*this, source);
  const bool is_file = source.kind == SecretSource::Kind::kFile;
  // A program can be ended when it takes too long, a read(2) of a file cannot.
  auto words = is_file ? std::vector<std::string>{"cat", "--", source.words.front()} : source.words;
  auto output = co_await command_output(std::move(words), kMostBytes + 2, kCommandLimit);
  if (!output) {
    auto advice = is_file ? "look at the file and its permissions" : "run it by hand to see why";
    co_return std::unexpected(
        std::move(output).error().restated("read", "a secret from " + source.text(), advice));
  }
  auto value = checked(source, std::move(*output));
  const auto cache = is_file ? kFileCache : source.cache;
  if (value) kept_.insert_or_assign(source, Kept{*value, Clock::now() + cache});
  co_return value;
}

}  // namespace capsem::host::net
