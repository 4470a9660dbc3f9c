#include "host/net/resolver.h"

#include <algorithm>
#include <list>
#include <map>
#include <utility>

#include "async/latch.h"

namespace capsem::host::net {
namespace {

struct Key {
  std::string name;
  Family family;
  auto operator<=>(const Key&) const = default;
};

struct KeyView {
  std::string_view name;
  Family family;
};

struct KeyLess {
  using is_transparent = void;
  template <class A, class B>
  bool operator()(const A& a, const B& b) const {
    const std::string_view left = a.name;
    const std::string_view right = b.name;
    return left != right ? left < right : a.family < b.family;
  }
};

std::shared_ptr<const Resolver::Found> make_failed(Lookup::Outcome outcome, std::string reason) {
  return std::make_shared<Resolver::Found>(
      Resolver::Found{.lookup = {.outcome = outcome, .reason = std::move(reason)}, .end = {}});
}

}  // namespace

// Shared with the lookups that run, which may come to an end after the resolver.
struct Resolver::State {
  // A lookup that runs.
  struct Pending {
    explicit Pending(const boost::asio::any_io_executor& executor) : done(executor) {}
    async::Latch done;
    FoundPointer found;
  };
  using PendingPointer = std::shared_ptr<Pending>;

  // Counts a waiter also when its coroutine is destroyed.
  class Waiting {
   public:
    explicit Waiting(State& state) : state_(state) { ++state_.waiting; }
    ~Waiting() { --state_.waiting; }
    Waiting(const Waiting&) = delete;
    Waiting& operator=(const Waiting&) = delete;

   private:
    State& state_;
  };

  State(boost::asio::any_io_executor on, const ResolverOptions& with)
      : executor(std::move(on)), options(with) {}

  void keep(const Key& key, const FoundPointer& found);
  void finish(const Key& key, FoundPointer found);

  boost::asio::any_io_executor executor;
  ResolverOptions options;
  std::map<Key, PendingPointer, KeyLess> pending;
  std::map<Key, FoundPointer, KeyLess> cache;
  std::list<Key> order;  // of the cache, oldest first
  std::size_t waiting = 0;
};

void Resolver::State::keep(const Key& key, const FoundPointer& found) {
  if (auto [place, is_new] = cache.insert_or_assign(key, found); is_new) order.push_back(key);
  while (cache.size() > options.max_cached) {
    cache.erase(order.front());
    order.pop_front();
  }
}

void Resolver::State::finish(const Key& key, FoundPointer found) {
  auto place = pending.find(key);
  if (place == pending.end()) return;
  auto done = std::move(place->second);
  pending.erase(place);
  done->found = std::move(found);
  done->done.set();
}

Resolver::Resolver(const boost::asio::any_io_executor& executor, const ResolverOptions& options)
    : state_(std::make_shared<State>(executor, options)), lookups_(executor) {}

Resolver::~Resolver() {
  while (!state_->pending.empty()) {
    const Key key = state_->pending.begin()->first;
    state_->finish(key, make_failed(Lookup::Outcome::kFailed, "the resolver ends"));
  }
}

Resolver::FoundPointer Resolver::cached(std::string_view name, Family family) const {
  auto place = state_->cache.find(KeyView{name, family});
  if (place == state_->cache.end()) return nullptr;
  if (place->second->end <= std::chrono::steady_clock::now()) return nullptr;
  return place->second;
}

Task<Resolver::FoundPointer> Resolver::find(std::string name, Family family) {
  if (auto known = cached(name, family)) co_return known;
  auto state = state_;
  if (state->waiting >= state->options.max_waiting)
    co_return make_failed(Lookup::Outcome::kBusy, "too many wait for a name");
  State::PendingPointer pending;
  if (auto place = state->pending.find(KeyView{name, family}); place != state->pending.end()) {
    pending = place->second;
  } else {
    if (state->pending.size() >= state->options.max_lookups)
      co_return make_failed(Lookup::Outcome::kBusy, "too many names are looked up");
    pending = std::make_shared<State::Pending>(state->executor);
    state->pending.emplace(Key{name, family}, pending);
    // What is found without a wait has ended when this returns.
    lookups_.spawn(run_lookup(state, std::move(name), family));
  }
  State::Waiting counted(*state);
  co_await pending->done.wait();
  if (!pending->found) co_return make_failed(Lookup::Outcome::kFailed, "the wait was cancelled");
  co_return pending->found;
}

Task<> Resolver::run_lookup(std::shared_ptr<State> state, std::string name, Family family) {
  const Key key{name, family};
  auto lookup = co_await look_up(std::move(name), family, state->options.lookup);
  const bool positive = lookup.outcome == Lookup::Outcome::kFound;
  const bool keep = positive || lookup.outcome == Lookup::Outcome::kNoName ||
                    lookup.outcome == Lookup::Outcome::kNoAddress;
  if (!positive) lookup.ttl = state->options.negative_ttl;
  const auto end = std::chrono::steady_clock::now() + lookup.ttl;
  auto found = std::make_shared<Found>(Found{.lookup = std::move(lookup), .end = end});
  if (keep) state->keep(key, found);
  state->finish(key, std::move(found));
}

}  // namespace capsem::host::net
