#include "guest/pty-agent/pty_agent.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdlib>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/file.h"
#include "base/log.h"
#include "base/message_socket.h"
#include "base/text.h"
#include "guest/innermost_pid.h"
#include "guest/kernel_command_line.h"
#include "guest/pty-agent/handover.h"
#include "guest/pty-agent/serve.h"
#include "guest/pty-agent/session_group.h"
#include "guest/pty-agent/session_init.h"
#include "guest/pty-agent/succession.h"
#include "guest/pty-agent/transfer.h"
#include "guest/vsock_address.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr int kFirstListenFd = 3;  // SD_LISTEN_FDS_START

constexpr const char* kTooMany =
    "256 sessions are running in this guest already, which is the limit; end one of them first";
static_assert(kMaxSessions == 256);

constexpr const char* kTooManyTransfers =
    "256 copies and connections to ports are under way in this guest already, which is the limit";
static_assert(kMaxTransfers == 256);

Result<Fd> inherited_listener(int number) {
  auto name = "descriptor " + std::to_string(number);
  Fd listener(number);
  int listening = 0;
  socklen_t size = sizeof listening;
  if (::getsockopt(listener.get(), SOL_SOCKET, SO_ACCEPTCONN, &listening, &size) != 0)
    return fail_system("use", name, errno);
  if (listening == 0) return fail("use", name, "it is not a listening socket");
  if (::fcntl(listener.get(), F_SETFD, FD_CLOEXEC) != 0) return fail_system("set up", name, errno);
  if (auto set = set_nonblocking(listener, true); !set) return propagate(set);
  return listener;
}

struct Listeners {
  Fd sessions;
  Fd transfers;  // not open when none was handed over
};

Result<Listeners> inherited_listeners() {
  const char* set = ::getenv("LISTEN_FDS");
  const char* pid = ::getenv("LISTEN_PID");
  std::string_view count = set != nullptr ? set : "";
  if ((count != "1" && count != "2") || (pid != nullptr && std::to_string(::getpid()) != pid))
    return fail("find", "the listening socket", "LISTEN_FDS=1 is not set for this process",
                "start this program from a supervisor that passes the socket as descriptor 3");
  auto sessions = inherited_listener(kFirstListenFd);
  if (!sessions) return propagate(sessions);
  Listeners listeners{.sessions = std::move(*sessions), .transfers = {}};
  if (count == "1") return listeners;
  auto transfers = inherited_listener(kFirstListenFd + 1);
  if (!transfers) return propagate(transfers);
  listeners.transfers = std::move(*transfers);
  return listeners;
}

// Descriptors 0 to 2 exist, so that no other descriptor ever gets one of these numbers.
Result<> fill_standard_descriptors() {
  for (;;) {
    auto null = open_file("/dev/null", O_RDWR);
    if (!null) return propagate(null);
    if (null->get() > 2) return {};
    null->release();
  }
}

Result<Fd> watch_children() {
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGCHLD);
  sigaddset(&set, SIGHUP);  // PID 1: the program was replaced
  ::sigprocmask(SIG_BLOCK, &set, nullptr);
  Fd fd(::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
  if (!fd) return fail_system("watch", "child processes", errno);
  return fd;
}

constexpr const char* kNoProcess = "the guest cannot start another process";

void become_server(const char* name) {
  sigset_t none;
  sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::prctl(PR_SET_NAME, name);
}

[[noreturn]] void serve_and_exit(Fd connection, const Spaces& spaces, const SessionGroup* group,
                                 const Fd& line) {
  become_server("pty-session");
  serve_connection(std::move(connection), spaces, group, line);
  ::_exit(0);
}

class Agent {
 public:
  static Result<Agent> create(bool confine) {
    if (auto filled = fill_standard_descriptors(); !filled) return propagate(filled);
    Agent agent;
    auto listeners = inherited_listeners();
    if (!listeners) return propagate(listeners);
    agent.listeners_ = std::move(*listeners);
    auto children = watch_children();
    if (!children) return propagate(children);
    agent.children_ = std::move(*children);
    auto spaces = own_spaces();
    if (!spaces) return propagate(spaces);
    agent.spaces_ = std::move(*spaces);
    agent.confine_ = confine;
    agent.spaces_.privileged.on_session_root = confine;
    if (confine) {
      auto network = network_of_sessions();
      if (!network) return propagate(network);
      agent.spaces_.privileged.network_namespace = std::move(*network);
    }
    auto parameters = kernel_command_line();
    if (!parameters) return propagate(parameters);
    bool fixed_addresses = parameter_of(*parameters, kFixedAddressesParameter).has_value();
    for (auto* space : {&agent.spaces_.ordinary, &agent.spaces_.privileged})
      space->fixed_addresses = fixed_addresses;
    // The sessions of an estate that cannot be read go on as long as their connections do.
    auto estate = take_estate();
    auto adopted = estate ? agent.adopt(std::move(*estate)) : propagate(estate);
    if (!adopted) warn(adopted.error().message());
    if (!confine || agent.init_) return agent;
    if (auto confined = agent.start_init(); !confined) return propagate(confined);
    return agent;
  }

  // `argv` is how it was executed.
  Result<> serve(char** argv) {
    // Of the time between two programs.
    reap();
    for (;;) {
      if (std::exchange(replaced_, false) && argv != nullptr) warn(execute_anew(argv).message());
      std::vector<pollfd> waiting = {pollfd{listeners_.sessions.get(), POLLIN, 0},
                                     pollfd{children_.get(), POLLIN, 0},
                                     pollfd{init_ ? init_->end_signals.get() : -1, POLLIN, 0},
                                     pollfd{listeners_.transfers.get(), POLLIN, 0}};
      std::size_t others = waiting.size();
      for (const auto& [pid, session] : sessions_)
        waiting.push_back(pollfd{session.line.get(), POLLIN, 0});
      if (::poll(waiting.data(), waiting.size(), -1) < 0) {
        if (errno == EINTR) continue;
        return fail_system("wait for", "connections", errno);
      }
      auto line = waiting.begin() + static_cast<std::ptrdiff_t>(others);
      for (auto& [pid, session] : sessions_)
        if ((line++)->revents != 0) read_line(session);
      if (waiting[1].revents != 0) reap();
      if (waiting[2].revents != 0) relay_end_signals();
      if (waiting[0].revents != 0) accept_session();
      if (waiting[3].revents != 0) accept_transfer();
    }
  }

 private:
  using Clock = std::chrono::steady_clock;

  // A process that serves a connection.
  struct Session {
    std::optional<SessionGroup> group;
    Fd line;
    Serving serving;  // with an id if it serves a session that outlives its connection
    Clock::time_point since = Clock::now();
  };

  Result<> start_init() {
    auto init = start_session_init();
    if (!init) return propagate(init);
    return take_init(std::move(*init));
  }

  Result<> take_init(SessionInit init) {
    auto space = confined_space(init.pid);
    if (!space) return propagate(space);
    init_ = std::move(init);
    space->fixed_addresses = spaces_.ordinary.fixed_addresses;
    spaces_.ordinary = std::move(*space);
    return {};
  }

  // ---- from one program to the next in this process

  static std::string name_of(const std::optional<SessionGroup>& group) {
    return group ? group->name() : "";
  }

  static std::optional<SessionGroup> group_of(const std::string& name) {
    auto group = name.empty() ? Result<SessionGroup>(fail("find", "a group", "it has no name"))
                              : SessionGroup::find(name);
    return group ? std::optional(std::move(*group)) : std::nullopt;
  }

  // Returns only when it fails.
  Error execute_anew(char** argv) const {
    Estate estate{.groups = groups_};
    if (init_) {
      estate.init = init_->pid;
      estate.end_signals = init_->end_signals.get();
    }
    for (const auto& [pid, session] : sessions_) {
      auto age =
          std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - session.since);
      estate.sessions.push_back({.pid = pid,
                                 .line = session.line.get(),
                                 .group = name_of(session.group),
                                 .age_ms = static_cast<std::uint64_t>(age.count()),
                                 .serving = session.serving});
    }
    for (const auto& [pid, group] : transfers_)
      estate.transfers.push_back({.pid = pid, .group = name_of(group)});
    for (const auto& group : ended_) estate.ended_groups.push_back(group.name());
    std::vector<int> kept = {listeners_.sessions.get()};
    if (listeners_.transfers) kept.push_back(listeners_.transfers.get());
    return execute_successor(estate, kept, argv);
  }

  Result<> adopt(Estate estate) {
    groups_ = estate.groups;
    for (auto& left : estate.sessions) {
      Session session{.group = group_of(left.group),
                      .line = Fd(left.line),
                      .serving = std::move(left.serving),
                      .since = Clock::now() - std::chrono::milliseconds(left.age_ms)};
      sessions_.emplace(left.pid, std::move(session));
    }
    for (const auto& left : estate.transfers) transfers_.emplace(left.pid, group_of(left.group));
    for (const auto& name : estate.ended_groups)
      if (auto group = group_of(name)) ended_.push_back(std::move(*group));
    if (estate.init == 0) return {};
    return take_init({.pid = estate.init, .end_signals = Fd(estate.end_signals)});
  }

  // ----

  void reap() {
    signalfd_siginfo signal{};
    while (::read(children_.get(), &signal, sizeof signal) == sizeof signal)
      if (signal.ssi_signo == SIGHUP) replaced_ = true;
    pid_t pid = 0;
    while ((pid = ::waitpid(-1, nullptr, WNOHANG)) > 0) {
      if (init_ && pid == init_->pid)
        init_.reset();
      else if (auto transfer = transfers_.extract(pid))
        forget_group(std::move(transfer.mapped()));
      else
        forget_session(pid);
    }
  }

  void forget_session(pid_t pid) {
    auto found = sessions_.find(pid);
    if (found == sessions_.end()) return;
    // What it handed over before its end may have come after poll(2) was asked.
    while (read_line(found->second)) {
    }
    forget_group(std::move(found->second.group));
    sessions_.erase(found);
  }

  // It stays as long as processes that were left running are in there.
  void forget_group(std::optional<SessionGroup> group) {
    if (group) ended_.push_back(std::move(*group));
    std::erase_if(ended_, [](const SessionGroup& ended) { return ended.remove(); });
  }

  void relay_end_signals() {
    if (!init_) return;
    unsigned char signal = 0;
    constexpr pid_t kInit = 1;
    if (::read(init_->end_signals.get(), &signal, 1) == 1) ::kill(kInit, signal);
  }

  // Whether there was a message.
  bool read_line(Session& session) {
    if (!session.line) return false;
    auto message = receive_from_line(session.line);
    if (!message) session.line.reset();  // it ends
    if (!message || !*message) return false;
    if (auto* serving = std::get_if<Serving>(&**message))
      session.serving = std::move(*serving);
    else if (auto* resumption = std::get_if<Resumption>(&**message))
      hand_over(std::move(*resumption));
    else if (auto* attachment = std::get_if<Attachment>(&**message))
      hand_over(std::move(*attachment));
    else
      list_to(std::move(std::get<ListRequest>(**message).connection));
    return true;
  }

  // The session of this id; of two with one id, any of them.
  Session* session_of(const std::string& id) {
    auto serves = [&](const auto& row) { return row.second.serving.id == id; };
    auto found = std::ranges::find_if(sessions_, serves);
    return found == sessions_.end() ? nullptr : &found->second;
  }

  void hand_over(Resumption resumption) {
    auto* session = session_of(resumption.id);
    if (session == nullptr || !send_on_line(session->line, resumption))
      refuse_as_gone(std::move(resumption));
  }

  void hand_over(Attachment attachment) {
    auto* session = session_of(attachment.id);
    if (session == nullptr || !session->serving.detachable ||
        !send_on_line(session->line, attachment))
      refuse_as_gone(std::move(attachment));
  }

  // By a process of its own, since the host may read slowly.
  void list_to(Fd connection) {
    if (::fork() != 0) return;
    leave_agent();
    wire::Sessions list;
    for (const auto& [process, session] : sessions_) {
      const auto& serving = session.serving;
      if (!serving.detachable) continue;
      auto age = std::chrono::duration_cast<std::chrono::seconds>(Clock::now() - session.since);
      list.sessions.push_back({.id = serving.id,
                               .pid = innermost_pid(serving.pid),
                               .command = serving.command,
                               .age_s = static_cast<std::uint64_t>(age.count()),
                               .attached = serving.attached});
    }
    answer_list(std::move(connection), list);
    ::_exit(0);
  }

  // The first process of sessions, and the group of the next one.
  Result<std::optional<SessionGroup>> prepare() {
    if (confine_ && !init_)
      if (auto started = start_init(); !started) return propagate(started);
    return make_group();
  }

  // In a process that serves a connection: of the agent's own it keeps nothing.
  void leave_agent() {
    listeners_ = {};
    children_.reset();
    // Held open here, they would not end with the agent.
    for (auto& [other, session] : sessions_) session.line.reset();
  }

  // Answers one of the connections that wait.
  void accept_transfer() {
    Fd connection(::accept4(listeners_.transfers.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection || is_of_this_guest(connection.get())) return;
    if (transfers_.size() >= kMaxTransfers) return refuse_transfer(connection, kTooManyTransfers);
    auto group = prepare();
    if (!group) return refuse_transfer(connection, group.error().message().c_str());
    pid_t pid = ::fork();
    if (pid == 0) {
      leave_agent();
      become_server("transfer");
      serve_transfer(std::move(connection), spaces_.ordinary, *group ? &**group : nullptr);
      ::_exit(0);
    }
    if (pid > 0) {
      transfers_.emplace(pid, std::move(*group));
      return;
    }
    if (*group) (*group)->remove();
    refuse_transfer(connection, kNoProcess);
  }

  // The same.
  void accept_session() {
    Fd connection(::accept4(listeners_.sessions.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!connection || is_of_this_guest(connection.get())) return;
    if (sessions_.size() >= kMaxSessions) return refuse_connection(std::move(connection), kTooMany);
    auto group = prepare();
    if (!group) return refuse_connection(std::move(connection), group.error().message().c_str());
    auto line = make_line();
    pid_t pid = line ? ::fork() : -1;
    if (pid == 0) {
      leave_agent();
      line->first.reset();
      serve_and_exit(std::move(connection), spaces_, *group ? &**group : nullptr, line->second);
    }
    if (pid > 0) {
      sessions_.emplace(
          pid, Session{.group = std::move(*group), .line = std::move(line->first), .serving = {}});
      return;
    }
    if (*group) (*group)->remove();
    refuse_connection(std::move(connection), kNoProcess);
  }

  // The agent's end and the other; both never wait.
  static Result<std::pair<Fd, Fd>> make_line() {
    auto line = message_socket_pair();
    if (!line) return propagate(line);
    for (const Fd* end : {&line->first, &line->second})
      if (auto set = set_nonblocking(*end, true); !set) return propagate(set);
    return line;
  }

  // Of the next session; none without confinement.
  Result<std::optional<SessionGroup>> make_group() {
    if (!confine_) return std::nullopt;
    for (;;) {
      auto name = std::to_string(::getpid()) + "-" + std::to_string(++groups_);
      auto made = SessionGroup::create(name);
      if (made) return std::move(*made);
      // Those of an agent before this one may still be there.
      if (made.error().system_error() != EEXIST) return propagate(made);
    }
  }

  Listeners listeners_;
  Fd children_;
  Spaces spaces_;
  bool confine_ = false;
  std::optional<SessionInit> init_;
  std::map<pid_t, Session> sessions_;                       // by the process that serves them
  std::map<pid_t, std::optional<SessionGroup>> transfers_;  // likewise
  std::vector<SessionGroup> ended_;                         // groups that still have processes
  unsigned groups_ = 0;                                     // made so far
  bool replaced_ = false;                                   // the program, by another one
};

Result<bool> wants_confinement(int argc, char** argv) {
  if (argc <= 1) return false;
  if (argc == 2 && std::string_view(argv[1]) == "--confine") return true;
  return fail("start", "capsem-pty-agent", "its only argument is --confine");
}

}  // namespace

int run(int argc, char** argv) {
  auto confine = wants_confinement(argc, argv);
  auto agent = confine ? Agent::create(*confine) : Result<Agent>(propagate(confine));
  auto served = agent ? agent->serve(argv) : Result<>(propagate(agent));
  if (!served) warn(served.error().message());
  return 1;
}

}  // namespace capsem::guest::pty_agent
