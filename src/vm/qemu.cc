#include "vm/qemu.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include <array>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/redirect_error.hpp>
#include <boost/asio/use_awaitable.hpp>
#include <cerrno>
#include <charconv>
#include <cstring>
#include <memory>

#include "async/latch.h"
#include "async/offload.h"
#include "async/task_group.h"
#include "base/text.h"
#include "vm/arguments.h"
#include "vm/readable.h"

namespace capsem::vm {

namespace asio = boost::asio;
using async::Latch;

namespace {

constexpr const char* kPackageAdvice =
    "install QEMU 7.2 or newer (Debian: apt-get install qemu-system-x86)";

// Our ends of what Endpoints holds QEMU's of.
struct Channels {
  Fd qmp;
  Fd console;
  Fd vsock;
  Fd errors;
};

Result<std::pair<Channels, Endpoints>> make_channels(bool vsock) {
  Channels ours;
  Endpoints theirs;
  struct Pair {
    Fd* ours;
    Fd* theirs;
    bool wanted;
  };
  for (auto pair : {Pair{&ours.qmp, &theirs.qmp, true}, Pair{&ours.console, &theirs.console, true},
                    Pair{&ours.vsock, &theirs.vsock, vsock}}) {
    if (!pair.wanted) continue;
    auto sockets = socket_pair();
    if (!sockets) return propagate(sockets);
    *pair.ours = std::move(sockets->first);
    *pair.theirs = std::move(sockets->second);
  }
  auto errors = make_pipe();
  if (!errors) return propagate(errors);
  ours.errors = std::move(errors->first);
  theirs.errors = std::move(errors->second);
  auto null = open_file("/dev/null", O_RDONLY);
  if (!null) return propagate(null);
  theirs.input = std::move(*null);
  return std::pair(std::move(ours), std::move(theirs));
}

Result<> check_file_size(const std::string& what, std::uint64_t bytes) {
  rlimit limit{};
  ::getrlimit(RLIMIT_FSIZE, &limit);
  if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur >= bytes) return {};
  return fail("give", what, "a file may have " + human_size(limit.rlim_cur) + " here",
              "raise the limit on the size of files (ulimit -f)", ErrorKind::kNoSpace);
}

// The guest's memory is a file too, if one without a name. QEMU would end by a signal, without a
// word.
Result<> check_file_sizes(const Machine& machine) {
  auto memory = "the VM its " + human_size(machine.memory_bytes) + " of memory";
  if (auto enough = check_file_size(memory, machine.memory_bytes); !enough) return enough;
  if (machine.disk == nullptr) return {};
  struct stat status{};
  if (::fstat(machine.disk->get(), &status) != 0) return fail_system("use", "the disk", errno);
  return check_file_size("the VM its disk", static_cast<std::uint64_t>(status.st_size));
}

// A machine whose files a QEMU without privileges can open; the copies are held until it has.
struct ReadableMachine {
  Machine machine;
  std::array<std::unique_ptr<Fd>, 2> copies;
};

Result<ReadableMachine> make_readable(const Machine& machine) {
  ReadableMachine readable{.machine = machine, .copies = {}};
  const std::array files = {&readable.machine.kernel, &readable.machine.initrd};
  for (std::size_t i = 0; i < files.size(); ++i) {
    const Fd*& file = *files.at(i);
    if (file == nullptr) continue;
    auto copy = copy_unless_readable(*file, i == 0 ? "the kernel" : "the initrd");
    if (!copy) return propagate(copy);
    if (!*copy) continue;
    readable.copies.at(i) = std::make_unique<Fd>(std::move(*copy));
    file = readable.copies.at(i).get();
  }
  return readable;
}

// Which of QEMU's last lines says why it ended, without the names it begins them with.
std::string telling_line(std::vector<std::string> lines) {
  // An assertion that fails prints a line of source after the one that says what happened.
  if (lines.size() > 1 && lines.back().find("Assertion `") != std::string::npos) lines.pop_back();
  if (lines.empty()) return {};
  std::string_view line = lines.back();
  for (std::string_view prefix : {"qemu-system-x86_64: ", "error: "})
    if (line.starts_with(prefix)) line.remove_prefix(prefix.size());
  return std::string(line);
}

// What `program --version` says: "QEMU emulator version 7.2.22 (Debian ...)".
std::optional<QemuVersion> program_version(const std::string& program) {
  Command command{.argv = {program, "--version"}};
  auto text = run_for_output(std::move(command), 4096);
  if (!text) return std::nullopt;
  constexpr std::string_view kMark = "version ";
  auto at = text->find(kMark);
  if (at == std::string::npos) return std::nullopt;
  const char* next = text->data() + at + kMark.size();
  const char* end = text->data() + text->size();
  QemuVersion version;
  for (int* part : {&version.major, &version.minor, &version.micro}) {
    auto [stop, error] = std::from_chars(next, end, *part);
    if (error != std::errc()) return std::nullopt;
    next = stop == end ? stop : stop + 1;  // past the dot
  }
  return version;
}

}  // namespace

// Shared with the coroutine that waits for QEMU's end.
struct Qemu::State {
  State(const asio::any_io_executor& executor, std::string program_, Process process_, Fd pidfd,
        std::unique_ptr<async::TaskGroup> tasks_, LineReader console_, LineReader errors_, Qmp qmp_,
        Fd vsock_)
      : program(std::move(program_)),
        process(std::move(process_)),
        ended(executor, pidfd.release()),
        end(executor),
        tasks(std::move(tasks_)),
        console(std::move(console_)),
        errors(std::move(errors_)),
        qmp(std::move(qmp_)),
        vsock(std::move(vsock_)) {}

  std::string program;
  std::optional<QemuVersion> version;  // once QMP has told it
  Process process;
  asio::posix::stream_descriptor ended;  // the pidfd: readable when QEMU has ended
  Latch end;
  std::optional<Result<ExitStatus>> status;
  std::unique_ptr<async::TaskGroup> tasks;  // whoever reads and writes our ends, and watch()
  LineReader console;
  LineReader errors;
  Qmp qmp;
  Fd vsock;

  // Takes the status of a QEMU that has ended and lets everyone who waits know.
  void reap() {
    if (status) return;
    status = process.wait();
    errors.drain();
    console.drain();
    end.set();
  }

  std::string end_in_words(const ExitStatus& how) const;
  static Task<Error> failure(std::shared_ptr<const State> state, ExitStatus how);

  static Task<> watch(std::shared_ptr<State> state) {
    boost::system::error_code error;
    co_await state->ended.async_wait(asio::posix::stream_descriptor::wait_read,
                                     asio::redirect_error(asio::use_awaitable, error));
    // Cut short by an exception of another task: nobody would hear of this QEMU any more.
    if (error) state->process.kill(SIGKILL);
    state->reap();
  }
};

std::string Qemu::State::end_in_words(const ExitStatus& how) const {
  auto words = "ended with " + how.describe();
  if (auto line = telling_line(errors.last_lines(3)); !line.empty()) words += ": " + line;
  return words;
}

Task<Error> Qemu::State::failure(std::shared_ptr<const State> state, ExitStatus how) {
  auto words = state->end_in_words(how);
  // Its threads count as processes; nor would one of ours start then.
  if (words.ends_with(std::strerror(EAGAIN)))
    co_return Error("run", state->program, "it " + words, kProcessLimitAdvice);
  auto version = state->version;
  if (!version) {
    // Only now: starting QEMU for its version would cost every run.
    async::Offload offload;
    // Named: GCC 12 destroys what such a temporary holds twice.
    auto ask = [program = state->program] { return program_version(program); };
    version = co_await offload.run(std::move(ask));
  }
  co_return Error("run", state->program, "it " + words,
                  version && *version < kOldestQemu ? kPackageAdvice : "");
}

Qemu::Qemu(std::shared_ptr<State> state) : state_(std::move(state)) {}
Qemu::Qemu(Qemu&&) noexcept = default;

Qemu::~Qemu() {
  if (!state_) return;
  state_->process.kill(SIGKILL);
  state_->reap();
  boost::system::error_code ignored;
  [[maybe_unused]] auto closed = state_->ended.close(ignored);
}

Result<std::filesystem::path> find_qemu(const std::string& program) {
  auto path = find_program(program);
  if (!path)
    return std::unexpected(std::move(path).error().restated("start", program, kPackageAdvice));
  return path;
}

Result<Qemu> Qemu::start(const asio::any_io_executor& executor, const Machine& machine,
                         const std::string& program) {
  auto path = find_qemu(program);
  if (!path) return propagate(path);
  if (auto enough = check_file_sizes(machine); !enough) return propagate(enough);
  auto readable = make_readable(machine);
  if (!readable) return propagate(readable, "start", program);
  auto channels = make_channels(machine.vsock);
  if (!channels) return propagate(channels, "start", program);
  auto& [ours, theirs] = *channels;
  auto tasks = std::make_unique<async::TaskGroup>(executor);
  auto console = LineReader::start(executor, *tasks, std::move(ours.console));
  if (!console) return propagate(console, "start", program);
  auto errors = LineReader::start(executor, *tasks, std::move(ours.errors));
  if (!errors) return propagate(errors, "start", program);
  auto qmp = Qmp::create(executor, *tasks, std::move(ours.qmp));
  if (!qmp) return propagate(qmp, "start", program);

  auto [argv, fds] = invocation(*path, readable->machine, theirs);
  // Ours may hold secrets, of which a QEMU that a guest took over should find none.
  Command command{.argv = std::move(argv),
                  .environment = std::vector<std::string>(),
                  .fds = std::move(fds),
                  .new_session = true,
                  .die_with_parent = true,
                  .unprivileged = true};
  auto process = Process::start(command);
  if (!process) {
    bool missing = process.error().kind() == ErrorKind::kNotFound;
    return std::unexpected(
        std::move(process).error().restated("start", program, missing ? kPackageAdvice : ""));
  }
  // A QEMU that aborts must not leave its memory in a file.
  const rlimit none{.rlim_cur = 0, .rlim_max = 0};
  ::prlimit(process->pid(), RLIMIT_CORE, &none, nullptr);
  auto pidfd = duplicate(process->pidfd());
  if (!pidfd) return propagate(pidfd, "start", program);
  auto state = std::make_shared<State>(executor, program, std::move(*process), std::move(*pidfd),
                                       std::move(tasks), std::move(*console), std::move(*errors),
                                       std::move(*qmp), std::move(ours.vsock));
  state->tasks->spawn(State::watch(state));
  return Qemu(std::move(state));
}

Task<Result<>> Qemu::connect(std::chrono::milliseconds limit) {
  auto state = state_;
  auto version = co_await state->qmp.connect(limit);
  if (!version) {
    // A closed socket is how a QEMU that ends is seen first; its status follows.
    bool ended = co_await state->end.wait(std::chrono::milliseconds(500));
    if (ended && state->status->has_value())
      co_return std::unexpected(co_await State::failure(state, **state->status));
    co_return propagate(version);
  }
  state->version = *version;
  if (*version < kOldestQemu)
    co_return fail("use", state->program, "it is version " + version->text(), kPackageAdvice);
  co_return Result<>();
}

Fd Qemu::take_vsock_socket() {
  return std::move(state_->vsock);
}

LineReader& Qemu::console() {
  return state_->console;
}

Qmp& Qemu::qmp() {
  return state_->qmp;
}

pid_t Qemu::pid() const {
  return state_->process.pid();
}

Task<Result<ExitStatus>> Qemu::wait() {
  auto state = state_;
  co_await state->end.wait();
  co_return *state->status;
}

Task<Result<std::optional<ExitStatus>>> Qemu::wait_for(std::chrono::milliseconds limit) {
  auto state = state_;
  bool ended = co_await state->end.wait(limit);
  if (!ended) co_return std::optional<ExitStatus>();
  if (!*state->status) co_return propagate(*state->status);
  co_return std::optional<ExitStatus>(**state->status);
}

void Qemu::kill() {
  state_->process.kill(SIGKILL);
}

Task<Result<ExitStatus>> Qemu::end() {
  constexpr auto kPatience = std::chrono::milliseconds(250);
  auto state = state_;
  std::string command = "quit";
  nlohmann::json none = nlohmann::json::object();
  // Its answer does not matter, only whether QEMU goes.
  auto asked = co_await state->qmp.execute(std::move(command), std::move(none), kPatience);
  bool ended = false;
  if (asked) ended = co_await state->end.wait(kPatience);
  if (!ended) state->process.kill(SIGKILL);
  co_await state->end.wait();
  state->tasks->cancel();
  co_await state->tasks->join();
  co_return *state->status;
}

std::string Qemu::end_in_words(const ExitStatus& status) const {
  return state_->end_in_words(status);
}

Task<Error> Qemu::failure(const ExitStatus& status) const {
  return State::failure(state_, status);
}

}  // namespace capsem::vm
