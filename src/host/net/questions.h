// What no rule decides, held while a person is asked. Bounded, whatever the guest asks for: equal
// questions are one, one is shown at a time, and what nobody answers is denied.
#pragma once

#include <boost/asio/any_io_executor.hpp>
#include <chrono>
#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>

#include "async/latch.h"
#include "async/task.h"
#include "host/net/policy_explain.h"

namespace capsem::host::net {

// What an answer is for: all that goes to the host and port, of which one request was the first.
inline Question for_all_requests(Question question) {
  question.request.reset();
  return question;
}

class Questions {
 public:
  using Clock = std::chrono::steady_clock;

  // Connections, requests and names that wait; what is asked beyond them is denied at once.
  static constexpr std::size_t kMaxHeld = 64;
  // For an answer, from when the question came up. No client waits much longer.
  static constexpr std::chrono::milliseconds kAnswerLimit{30'000};
  // Answers that deny are remembered; who gives more of them is asked nothing more.
  static constexpr std::size_t kMaxDenied = 4096;
  // What nobody has answered is denied at once for so long, as its client tries it again.
  static constexpr std::chrono::milliseconds kQuiet{10'000};

  explicit Questions(const boost::asio::any_io_executor& executor,
                     std::chrono::milliseconds limit = kAnswerLimit,
                     std::chrono::milliseconds quiet = kQuiet)
      : executor_(executor), limit_(limit), quiet_(quiet), changed_(executor) {}

  // Holds what is asked until it is answered, and returns whether it is allowed. Denied at once
  // when nobody listens, when the person has denied it before, or when too many are held.
  Task<bool> ask(Question question);
  // The same for a name that is to be resolved, of which no port is known yet.
  Task<bool> ask_name(const std::string& name);

  struct Asked {
    std::uint64_t id = 0;
    Question question;
    bool of_name = false;
  };
  // The one to be shown: that which came first.
  const Asked* current() const;
  // Waits until current() may be another one than at `change`.
  Task<> other_than(std::uint64_t change);
  std::uint64_t change() const { return change_; }

  // Ends a question that is held; what was denied is not asked again. False when it is over
  // already.
  bool answer(std::uint64_t id, bool allowed);

  // While there is one, there is somebody to ask. When the last has gone all is denied.
  class Listener {
   public:
    explicit Listener(Questions& questions) : questions_(questions) { ++questions_.listeners_; }
    Listener(const Listener&) = delete;
    Listener& operator=(const Listener&) = delete;
    ~Listener();

   private:
    Questions& questions_;
  };

 private:
  struct Held : Asked {
    Held(const boost::asio::any_io_executor& executor, Asked asked)
        : Asked(std::move(asked)), decided(executor) {}
    std::string key;
    Clock::time_point end;
    async::Latch decided;
    bool allowed = false;
    std::size_t waiting = 0;
  };
  class Waiting;

  Task<bool> hold(std::string key, Question question, bool of_name);
  bool is_quiet(const std::string& key);
  std::shared_ptr<Held> find(const std::string& key) const;
  void end(const std::shared_ptr<Held>& held, bool allowed);
  void tell_change();

  boost::asio::any_io_executor executor_;
  std::chrono::milliseconds limit_;
  std::chrono::milliseconds quiet_;
  std::list<std::shared_ptr<Held>> held_;  // that which came first before the others
  std::size_t waiting_ = 0;
  std::set<std::string> denied_;  // keys, of kMaxDenied
  // Those that nobody has answered, until they are asked again; no more than are held in a quiet.
  std::map<std::string, Clock::time_point> unanswered_;
  std::size_t listeners_ = 0;
  std::uint64_t last_id_ = 0;
  std::uint64_t change_ = 0;
  async::Latch changed_;  // set, and replaced, by each change
};

}  // namespace capsem::host::net
