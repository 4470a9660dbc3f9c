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
        shared_(std::make_shared<Shared>(async::Latch(values.executor_), std::nullopt)),
        place_(values.under_way_.emplace(source, shared_).first) {}
  Reading(const Reading&) = delete;
  Reading& operator=(const Reading&) = delete;
  ~Reading() {
    shared_->ended.set();
    values_.under_way_.erase(place_);
  }

  void set(Result<std::string> value) { shared_->value = std::move(value); }

 private:
  SecretValues& values_;
  std::shared_ptr<Shared> shared_;
  std::map<SecretSource, std::shared_ptr<Shared>>::iterator place_;
};

Task<Result<std::string>> SecretValues::read(SecretSource source) {
  if (source.kind == SecretSource::Kind::kEnvironment) co_return from_environment(source);
  for (;;) {
    if (auto kept = kept_.find(source); kept != kept_.end() && Clock::now() < kept->second.until)
      co_return kept->second.value;
    auto found = under_way_.find(source);
    if (found == under_way_.end()) break;
    auto other = found->second;
    co_await other->ended.wait();
    if (other->value) co_return *other->value;
  }
  Reading reading(*this, source);
  auto value = co_await read_anew(source);
  reading.set(value);
  auto cache = source.kind == SecretSource::Kind::kFile ? kFileCache : source.cache;
  if (!value) cache = kFailureCache;
  kept_.insert_or_assign(source, Kept{value, Clock::now() + cache});
  co_return value;
}

Task<Result<std::string>> SecretValues::read_anew(const SecretSource& source) {
  const bool is_file = source.kind == SecretSource::Kind::kFile;
  // A program can be ended when it takes too long, a read(2) of a file cannot.
  auto words = is_file ? std::vector<std::string>{"cat", "--", source.words.front()} : source.words;
  auto output = co_await command_output(std::move(words), kMostBytes + 2, kCommandLimit);
  if (output) co_return checked(source, std::move(*output));
  auto advice = is_file ? "look at the file and its permissions" : "run it by hand to see why";
  co_return std::unexpected(
      std::move(output).error().restated("read", "a secret from " + source.text(), advice));
}

}  // namespace capsem::host::net
