#include "guest/pty-agent/succession.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <optional>
#include <span>

#include "base/directory.h"
#include "base/text.h"

namespace capsem::guest::pty_agent {
namespace {

// The number of the descriptor from which the estate is read.
constexpr const char* kVariable = "CAPSEM_AGENT_ESTATE";

// A record is its kind and its fields, each with a NUL behind it.
constexpr std::string_view kInit = "init";          // PID END-SIGNALS
constexpr std::string_view kGroups = "groups";      // NUMBER
constexpr std::string_view kSession = "session";    // PID LINE GROUP AGE SERVING
constexpr std::string_view kTransfer = "transfer";  // PID GROUP
constexpr std::string_view kEnded = "ended";        // GROUP

void put(std::string& text, std::string_view field) {
  for (char c : field) text += c == '\0' ? ' ' : c;
  text += '\0';
}

template <class Number>
  requires std::is_arithmetic_v<Number>
void put(std::string& text, Number number) {
  put(text, std::to_string(number));
}

class Fields {
 public:
  explicit Fields(std::string_view text) : text_(text) {}

  bool at_end() const { return text_.empty(); }
  bool fine() const { return fine_; }

  std::string text() {
    auto end = text_.find('\0');
    fine_ = fine_ && end != std::string_view::npos;
    auto field = text_.substr(0, end);
    text_.remove_prefix(fine_ ? end + 1 : text_.size());
    return std::string(field);
  }

  template <class Number>
  void take(Number& number) {
    auto digits = text();
    auto [end, error] = std::from_chars(digits.data(), digits.data() + digits.size(), number);
    fine_ = fine_ && error == std::errc() && end == digits.data() + digits.size();
  }

 private:
  std::string_view text_;
  bool fine_ = true;
};

bool take_record(std::string_view kind, Fields& fields, Estate& estate) {
  if (kind == kInit) {
    fields.take(estate.init);
    fields.take(estate.end_signals);
  } else if (kind == kGroups) {
    fields.take(estate.groups);
  } else if (kind == kSession) {
    auto& session = estate.sessions.emplace_back();
    fields.take(session.pid);
    fields.take(session.line);
    session.group = fields.text();
    fields.take(session.age_ms);
    auto serving = decode_serving(fields.text());
    if (!serving) return false;
    session.serving = std::move(*serving);
  } else if (kind == kTransfer) {
    auto& transfer = estate.transfers.emplace_back();
    fields.take(transfer.pid);
    transfer.group = fields.text();
  } else if (kind == kEnded) {
    estate.ended_groups.push_back(fields.text());
  } else {
    return false;
  }
  return fields.fine();
}

std::vector<int> descriptors_of(const Estate& estate) {
  std::vector<int> all = {estate.end_signals};
  for (const auto& session : estate.sessions) all.push_back(session.line);
  std::erase_if(all, [](int fd) { return fd < 0; });
  return all;
}

void set_inherited(std::span<const int> fds, bool inherited) {
  for (int fd : fds) ::fcntl(fd, F_SETFD, inherited ? 0 : FD_CLOEXEC);
}

// What was handed over and is known by nobody: the other ends wait for it to be closed. All that is
// in use here is closed on execution.
void close_inherited() {
  constexpr int kFirst = STDERR_FILENO + 1;
  for (const auto& name : names_in("/proc/self/fd").value_or(std::vector<std::string>())) {
    int fd = -1;
    std::from_chars(name.data(), name.data() + name.size(), fd);
    if (fd >= kFirst && ::fcntl(fd, F_GETFD) == 0) ::close(fd);
  }
}

Result<Fd> written(const std::string& text) {
  constexpr const char* kName = "the agent's estate";
  Fd file(::memfd_create("estate", MFD_CLOEXEC));
  if (!file) return fail_system("write", kName, errno);
  if (auto put = write_full(file, as_bytes(text), kName); !put) return propagate(put);
  if (::lseek(file.get(), 0, SEEK_SET) != 0) return fail_system("write", kName, errno);
  return file;
}

}  // namespace

std::string encode(const Estate& estate) {
  std::string text;
  if (estate.init != 0) {
    put(text, kInit);
    put(text, estate.init);
    put(text, estate.end_signals);
  }
  put(text, kGroups);
  put(text, estate.groups);
  for (const auto& session : estate.sessions) {
    put(text, kSession);
    put(text, session.pid);
    put(text, session.line);
    put(text, session.group);
    put(text, session.age_ms);
    put(text, encode(session.serving));
  }
  for (const auto& transfer : estate.transfers) {
    put(text, kTransfer);
    put(text, transfer.pid);
    put(text, transfer.group);
  }
  for (const auto& group : estate.ended_groups) {
    put(text, kEnded);
    put(text, group);
  }
  return text;
}

Result<Estate> decode_estate(std::string_view text) {
  Estate estate;
  Fields fields(text);
  while (!fields.at_end()) {
    auto kind = fields.text();
    if (!take_record(kind, fields, estate))
      return fail("read", "what the agent before this one left", "a record is not whole", "",
                  ErrorKind::kInvalid);
  }
  return estate;
}

Error execute_successor(const Estate& estate, const std::vector<int>& kept, char** argv) {
  auto file = written(encode(estate));
  if (!file) return std::move(file).error();
  auto inherited = descriptors_of(estate);
  inherited.insert(inherited.end(), kept.begin(), kept.end());
  inherited.push_back(file->get());
  set_inherited(inherited, true);
  ::setenv(kVariable, std::to_string(file->get()).c_str(), 1);
  ::execve(argv[0], argv, environ);
  auto error = Error::system("execute", argv[0], errno);
  ::unsetenv(kVariable);
  set_inherited(inherited, false);
  return error;
}

Result<Estate> take_estate() {
  const char* variable = ::getenv(kVariable);
  if (variable == nullptr) return Estate{};
  int number = -1;
  std::string_view digits(variable);
  std::from_chars(digits.data(), digits.data() + digits.size(), number);
  ::unsetenv(kVariable);
  Fd file(number);
  ::fcntl(number, F_SETFD, FD_CLOEXEC);
  std::string text;
  std::array<std::byte, 16384> buffer;
  for (std::size_t size = buffer.size(); size == buffer.size();) {
    auto n = read_full(file, buffer, "the agent's estate");
    if (!n) return propagate(n);
    size = *n;
    text += as_text(std::span(buffer).first(size));
  }
  auto estate = decode_estate(text);
  if (estate)
    set_inherited(descriptors_of(*estate), false);
  else
    close_inherited();
  return estate;
}

}  // namespace capsem::guest::pty_agent
