#include "guest/net-proxy/looker.h"

#include <limits.h>
#include <linux/bpf.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>

#include "guest/innermost_pid.h"

namespace capsem::guest::net_proxy {
namespace {

// An answer's fixed part, before the path.
struct Header {
  std::uint64_t id;
  std::uint32_t pid;
  std::uint32_t uid;
};
constexpr std::size_t kAnswerBytes = sizeof(Header) + PATH_MAX;

std::optional<Connector> find(const Fd& connections, const ConnectionKey& connection) {
  Connector connector;
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(connections.get());
  attributes.key = reinterpret_cast<std::uintptr_t>(&connection);
  attributes.value = reinterpret_cast<std::uintptr_t>(&connector);
  if (::syscall(SYS_bpf, BPF_MAP_LOOKUP_ELEM, &attributes, sizeof attributes) != 0)
    return std::nullopt;
  return connector;
}

std::string target_of(const std::string& link) {
  std::array<char, PATH_MAX> path;
  auto size = ::readlink(link.c_str(), path.data(), path.size());
  return size > 0 ? std::string(path.data(), static_cast<std::size_t>(size)) : std::string();
}

[[noreturn]] void answer_questions(const Fd& line, const Fd& connections) {
  Question question;
  while (::recv(line.get(), &question, sizeof question, 0) == sizeof question) {
    auto maker = look_up(connections, question.connection);
    Header header{.id = question.id, .pid = maker.pid, .uid = maker.uid};
    std::string text(reinterpret_cast<const char*>(&header), sizeof header);
    text += maker.executable;
    if (::send(line.get(), text.data(), text.size(), MSG_NOSIGNAL) < 0) break;
  }
  ::_exit(0);
}

}  // namespace

Maker look_up(const Fd& connections, const ConnectionKey& connection) {
  auto connector = find(connections, connection);
  if (!connector) return {};
  return {.pid = innermost_pid(static_cast<pid_t>(connector->pid)),
          .uid = connector->uid,
          .executable = target_of("/proc/" + std::to_string(connector->pid) + "/exe")};
}

Result<Fd> start_looker(Fd connections) {
  std::array<int, 2> ends{};
  if (::socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends.data()) != 0)
    return fail_system("make", "a line to another process", errno);
  Fd ours(ends[0]);
  Fd theirs(ends[1]);
  pid_t parent = ::getpid();
  pid_t pid = ::fork();
  if (pid < 0) return fail_system("start", "another process", errno);
  if (pid == 0) {
    ::prctl(PR_SET_NAME, "net-looker");
    ::prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (::getppid() != parent) ::_exit(0);
    ours.reset();
    answer_questions(theirs, connections);
  }
  if (auto set = set_nonblocking(ours, true); !set) return propagate(set);
  return ours;
}

bool ask(const Fd& line, const Question& question) {
  return ::send(line.get(), &question, sizeof question, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         sizeof question;
}

Result<std::optional<Answer>> next_answer(const Fd& line) {
  std::array<char, kAnswerBytes> text;
  auto size = ::recv(line.get(), text.data(), text.size(), MSG_DONTWAIT);
  if (size < 0 && (errno == EAGAIN || errno == EINTR)) return std::nullopt;
  if (size < static_cast<ssize_t>(sizeof(Header)))
    return fail("hear of", "the programs that make connections", "the other process has ended", "",
                ErrorKind::kClosed);
  Header header;
  std::memcpy(&header, text.data(), sizeof header);
  Answer answer{.id = header.id, .maker = {.pid = header.pid, .uid = header.uid}};
  answer.maker.executable.assign(text.data() + sizeof header,
                                 static_cast<std::size_t>(size) - sizeof header);
  return answer;
}

}  // namespace capsem::guest::net_proxy
