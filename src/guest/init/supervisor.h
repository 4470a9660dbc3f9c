// Services of PID 1: started in the manifest's order, started again with back-off when they end.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "manifest/manifest.h"

namespace capsem::guest::init {

using Clock = std::chrono::steady_clock;

inline constexpr std::chrono::milliseconds kFirstDelay{100};
inline constexpr std::chrono::milliseconds kLongestDelay{5000};
// How long a service whose program or settings changed has to end, or to go on as the new program,
// before it is killed; and how often it is looked at meanwhile.
inline constexpr std::chrono::milliseconds kChangeLimit{2000};
inline constexpr std::chrono::milliseconds kChangeCheck{3};
// A service that ran this long is taken to have been well; its next delay is the first again.
inline constexpr std::chrono::seconds kWellAfter{10};

class Supervisor {
 public:
  // `report` gets one line for each end and each failed start of a service: the reason, and when it
  // is started again.
  using Report = std::function<void(const std::string& service, const std::string& text)>;
  // `confine` is called in each new process before it executes its program, with the capabilities
  // that the entry may have; an errno value other than 0 keeps it from starting.
  using Confine = int (*)(manifest::CapabilitySet capabilities);
  Supervisor(Report report, Confine confine) : report_(std::move(report)), confine_(confine) {}

  // Starts an entry that has a service; an error when its program cannot be executed. When there is
  // no process to be had for it, the start is reported and made up for later. The listeners become
  // the descriptors from 3 on of each process of it, in the manner of sd_listen_fds(3), and stay
  // open between two of them.
  Result<> add(const manifest::Entry& entry, std::vector<Fd> listeners);

  // To be called for every child that was reaped; false when it was no service.
  bool reaped(pid_t pid, const ExitStatus& status, Clock::time_point now);

  // Starts what is due at `now`.
  void start_due(Clock::time_point now);
  // When the next start is due, if any is.
  std::optional<Clock::time_point> next_start() const;

  // The program of a service was replaced. It is told so by SIGHUP: it ends, and is started again
  // at once, or executes the new program itself and goes on as the same process.
  void replaced(const std::string& name, Clock::time_point now);

  // The service has these settings from here on, but for its listeners, which it keeps: it is asked
  // to end, and started again at once.
  void change(const manifest::Entry& entry, Clock::time_point now);

  // It is a service no longer.
  void remove(const std::string& name, Clock::time_point now);

  // Whether all that was replaced, changed or removed has been started again, is gone, or does not
  // end although it was killed.
  bool settled() const;

  // The process of a service, 0 while it has none that runs its program.
  pid_t pid_of(const std::string& name) const;

  // Whether it has ended, and is one that is not started again.
  bool has_finished(const std::string& name) const;

  // From here on services may end: none is started again or reported.
  void stop() { stopped_ = true; }

 private:
  enum class Change {
    kNone,
    kEnds,      // it was asked to, to be started again
    kExecutes,  // the same, unless it executes its program anew before
  };

  struct Service {
    std::string name;
    std::vector<std::string> argv;
    std::vector<Fd> listeners;
    bool restart = true;
    manifest::CapabilitySet capabilities = 0;
    pid_t pid = 0;            // 0 while it is not running
    std::string not_started;  // why the process `pid`, still to be reaped, never ran the program
    Clock::time_point started;
    Clock::duration delay = kFirstDelay;
    std::optional<Clock::time_point> due;
    Change change = Change::kNone;
    Clock::time_point change_limit;  // it is killed then
    Clock::time_point looked_at;
    bool goes = false;    // it is not started again
    bool killed = false;  // since change_limit passed
    bool stuck = false;   // that was kChangeLimit ago, and it has not ended
  };

  static Service make(const manifest::Entry& entry, std::vector<Fd> listeners);
  Service* find(const std::string& name);
  const Service* find(const std::string& name) const;
  void begin_change(Service& service, Change change, int signal, Clock::time_point now);
  void look_after(Service& service, Clock::time_point now);
  void start_or_schedule(Service& service, Clock::time_point now);

  Result<> start(Service& service, Clock::time_point now);
  void schedule(Service& service, Clock::time_point now, const std::string& why);

  [[noreturn]] void run(const Service& service, int report) const;

  Report report_;
  Confine confine_;
  std::vector<Service> services_;
  bool stopped_ = false;
};

}  // namespace capsem::guest::init
