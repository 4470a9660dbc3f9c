#include "tests/vsock/vm/machine.h"

#include <fcntl.h>
#include <sys/mman.h>

#include <algorithm>
#include <array>
#include <csignal>
#include <string_view>

#include "base/file.h"
#include "base/text.h"
#include "cpio/writer.h"
#include "tests/vsock/vm/guest_commands.h"

namespace capsem::vsock {
namespace {

constexpr std::uint64_t kMaxFileBytes = 64 << 20;
constexpr std::chrono::seconds kBootLimit{120};
constexpr std::chrono::seconds kQmpLimit{30};

// In the order in which they depend on each other.
constexpr std::string_view kModules[] = {
    "virtio_ring",
    "virtio",
    "virtio_pci_legacy_dev",
    "virtio_pci_modern_dev",
    "virtio_pci",
    "vsock",
    "vmw_vsock_virtio_transport_common",
    "vmw_vsock_virtio_transport",
    "failover",
    "net_failover",
    "virtio_net",
};

Result<std::vector<std::string>> list_files(const std::filesystem::path& modules) {
  std::vector<std::string> paths;
  if (std::filesystem::is_directory(modules)) {
    for (const auto& entry : std::filesystem::recursive_directory_iterator(modules)) {
      paths.push_back(entry.path());
    }
    return paths;
  }
  Result<std::string> listing = run_for_output({.argv = {"unsquashfs", "-l", "-d", "", modules}});
  if (!listing) {
    return propagate(listing);
  }
  for (const std::string_view line : split(*listing, '\n')) {
    paths.emplace_back(line);
  }
  return paths;
}

Result<std::string> read_module(const std::filesystem::path& modules, const std::string& path) {
  if (std::filesystem::is_directory(modules)) {
    return read_file(path, kMaxFileBytes);
  }
  return run_for_output({.argv = {"unsquashfs", "-cat", modules, path}});
}

Result<Fd> build_initrd(const GuestFiles& files) {
  Result<std::string> init = read_file(files.init, kMaxFileBytes);
  Result<std::vector<std::string>> paths = list_files(files.modules);
  if (!init || !paths) {
    return init ? propagate(paths) : propagate(init);
  }
  Fd image(::memfd_create("initrd", MFD_CLOEXEC));
  cpio::Writer writer(write_to(image, "the initrd"));
  Result<> added = writer.add_file("init", as_bytes(*init), {.permissions = 0755});
  added = added ? writer.add_directory("modules", {.permissions = 0755}) : std::move(added);
  char prefix = 'a';
  for (const std::string_view name : kModules) {
    const std::string file = "/" + std::string(name) + ".ko";
    const auto found =
        std::ranges::find_if(*paths, [&](const std::string& path) { return path.ends_with(file); });
    if (found == paths->end()) {
      return fail("find", file, "it is not in " + files.modules.string());
    }
    Result<std::string> body = read_module(files.modules, *found);
    if (!body) {
      return propagate(body);
    }
    const std::string target = "modules/" + std::string(1, prefix++) + "-" + file.substr(1);
    added =
        added ? writer.add_file(target, as_bytes(*body), {.permissions = 0644}) : std::move(added);
  }
  added = added ? writer.finish() : std::move(added);
  if (!added) {
    return propagate(added);
  }
  return image;
}

}  // namespace

GuestFiles parse_guest_files(int argc, char** argv) {
  GuestFiles files;
  const std::pair<std::string_view, std::filesystem::path GuestFiles::*> options[] = {
      {"--kernel=", &GuestFiles::kernel},
      {"--modules=", &GuestFiles::modules},
      {"--init=", &GuestFiles::init}};
  for (int i = 1; i < argc; ++i) {
    const std::string_view argument = argv[i];
    for (const auto& [prefix, member] : options) {
      if (argument.starts_with(prefix)) {
        files.*member = argument.substr(prefix.size());
      }
    }
  }
  return files;
}

std::filesystem::path missing_file(const GuestFiles& files) {
  for (const std::filesystem::path& path : {files.kernel, files.modules, files.init}) {
    if (!std::filesystem::exists(path)) {
      return path.empty() ? "a file that was not named" : path;
    }
  }
  return {};
}

Result<std::unique_ptr<GuestMachine>> GuestMachine::start(const GuestFiles& files,
                                                          Options options) {
  std::unique_ptr<GuestMachine> machine(new GuestMachine);
  if (Result<> launched = machine->launch(files, options); !launched) {
    return propagate(launched);
  }
  if (Result<> hello = machine->await_hello(); !hello) {
    return propagate(hello);
  }
  return machine;
}

GuestMachine::~GuestMachine() {
  control_.reset();
  if (qemu_) {
    qemu_->kill(SIGKILL);
  }
}

Result<> GuestMachine::launch(const GuestFiles& files, const Options& options) {
  Result<Fd> initrd = build_initrd(files);
  auto sockets = socket_pair();
  auto qmp = socket_pair();
  Result<Fd> nothing = open_file("/dev/null", O_RDWR);
  if (!initrd || !sockets || !qmp || !nothing) {
    return initrd ? fail("start", "QEMU", "no descriptors") : propagate(initrd);
  }
  initrd_ = *std::move(initrd);
  console_ = Fd(::memfd_create("console", MFD_CLOEXEC));
  Result<std::unique_ptr<Device>> device =
      Device::create(loop_.executor(), std::move(sockets->first), options.device);
  if (!device) {
    return propagate(device);
  }
  device_ = *std::move(device);
  Result<> listening =
      device_->listen(kControlPort, {.connections = 2, .receive_buffer_bytes = 512 * 1024},
                      [this](std::unique_ptr<Stream> stream) { control_ = std::move(stream); });
  Command command{.argv = {"qemu-system-x86_64",
                           "-nodefaults",
                           "-no-user-config",
                           "-display",
                           "none",
                           "-M",
                           "q35,accel=tcg,memory-backend=mem",
                           "-object",
                           "memory-backend-memfd,id=mem,share=on,size=512M",
                           "-m",
                           "512",
                           "-kernel",
                           files.kernel,
                           "-initrd",
                           "/dev/fd/4",
                           "-append",
                           "console=ttyS0 quiet panic=-1",
                           "-serial",
                           "stdio",
                           "-chardev",
                           "socket,id=vsock,fd=3",
                           "-device",
                           options.vsock_device,
                           "-chardev",
                           "socket,id=qmp,fd=5",
                           "-mon",
                           "chardev=qmp,mode=control"}};
  if (options.network) {
    command.argv.insert(command.argv.end(), {"-netdev", "user,id=net", "-device",
                                             "virtio-net-pci,netdev=net,romfile="});
  }
  command.fds = {{0, nothing->get()},        {1, console_.get()}, {2, console_.get()},
                 {3, sockets->second.get()}, {4, initrd_.get()},  {5, qmp->second.get()}};
  command.new_session = true;
  command.die_with_parent = true;
  Result<Process> qemu = Process::start(command);
  if (!qemu) {
    return propagate(qemu);
  }
  qemu_.emplace(*std::move(qemu));
  Result<vm::Qmp> control = vm::Qmp::create(loop_.executor(), tasks_, std::move(qmp->first));
  if (!control) {
    return propagate(control);
  }
  qmp_.emplace(*std::move(control));
  if (auto connected = loop_.get(qmp_->connect(kQmpLimit)); !connected) {
    return fail("start", "QEMU", connected.error().message() + "; its console: " + console());
  }
  return listening;
}

Result<> GuestMachine::await_hello() {
  bool gone = false;
  loop_.run_until(
      [&] {
        gone = qemu_->poll().value_or(ExitStatus{}).has_value();
        return control_ != nullptr || gone;
      },
      kBootLimit);
  std::optional<std::string> hello;
  if (control_ != nullptr) {
    loop_.spawn(read_line(hello));
    loop_.run_until([&] { return hello.has_value(); });
  }
  if (hello != "hello") {
    return fail("boot", "the guest", "it did not say hello; its console: " + console());
  }
  return {};
}

Task<> GuestMachine::read_line(std::optional<std::string>& line) {
  std::string text;
  std::array<std::byte, 1> byte{};
  for (;;) {
    const Result<std::size_t> size = co_await control_->read_some(byte);
    if (!size || *size == 0) {
      line = "failed: the control connection ended";
      co_return;
    }
    if (byte[0] == std::byte{'\n'}) {
      line = text;
      co_return;
    }
    text += static_cast<char>(byte[0]);
  }
}

void GuestMachine::send(const std::string& line) {
  const Result<> sent = loop_.get(control_->write_all(as_bytes(line + "\n")));
  EXPECT_TRUE(sent) << sent.error().message();
}

std::string GuestMachine::command(const std::string& line) {
  send(line);
  std::optional<std::string> answer;
  loop_.spawn(read_line(answer));
  loop_.run_until([&] { return answer.has_value(); }, std::chrono::seconds(240));
  return answer.value_or("failed: no answer");
}

void GuestMachine::control_processors(const std::string& command) {
  nlohmann::json none = nlohmann::json::object();
  const auto answer = loop_.get(qmp_->execute(command, std::move(none), kQmpLimit));
  EXPECT_TRUE(answer) << answer.error().message();
}

void GuestMachine::reboot() {
  const std::unique_ptr<Stream> before = std::move(control_);
  const Result<> sent = loop_.get(before->write_all(as_bytes("reboot\n")));
  EXPECT_TRUE(sent);
  // The old connection is to end by itself, without the device being told.
  std::array<std::byte, 1> byte{};
  const Result<std::size_t> end = loop_.get(before->read_some(byte));
  EXPECT_FALSE(end) << "a reboot resets the streams";
  const Result<> hello = await_hello();
  EXPECT_TRUE(hello) << hello.error().message();
}

std::string GuestMachine::console() const {
  std::string text(64 * 1024, '\0');
  const ssize_t size = ::pread(console_.get(), text.data(), text.size(), 0);
  text.resize(size < 0 ? 0 : static_cast<std::size_t>(size));
  return text;
}

}  // namespace capsem::vsock
