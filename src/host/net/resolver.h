// The host's names for the guest: lookups that several wait for, and a cache of what they found.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "async/task.h"
#include "async/task_group.h"
#include "host/net/lookup.h"

namespace capsem::host::net {

struct ResolverOptions {
  LookupOptions lookup;
  std::size_t max_lookups = 64;    // at once, with a socket or two each
  std::size_t max_waiting = 1024;  // for all of them
  std::size_t max_cached = 2048;
  // How long the cache says that there is no such name or address. The servers' own time for that
  // (of the SOA record) is not known here.
  std::chrono::seconds negative_ttl{5};
};

class Resolver {
 public:
  using Time = std::chrono::steady_clock::time_point;

  // A lookup as it was found, good until `end`.
  struct Found {
    Lookup lookup;
    Time end;
  };
  using FoundPointer = std::shared_ptr<const Found>;

  Resolver(const boost::asio::any_io_executor& executor, const ResolverOptions& options);
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;
  // Who still waits goes on, with kFailed.
  ~Resolver();

  // Of the cache alone, or null.
  FoundPointer cached(std::string_view name, Family family) const;

  // Of the cache, or by a lookup, which whoever asks the same meanwhile shares. A wait that is
  // cancelled leaves the lookup to the others and to the cache; its own limit ends it.
  Task<FoundPointer> find(std::string name, Family family);

 private:
  struct State;
  static Task<> run_lookup(std::shared_ptr<State> state, std::string name, Family family);

  std::shared_ptr<State> state_;
  async::TaskGroup lookups_;
};

}  // namespace capsem::host::net
