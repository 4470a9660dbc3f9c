// Starts QEMU with one of our vsock devices and the guest of guest_init.cc, and speaks to it over
// the control connection. Used by the VM tests and by the benchmark.
#pragma once

#include <filesystem>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "async/task_group.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/process.h"
#include "tests/async/loop.h"
#include "vm/qmp.h"
#include "vsock/device.h"

namespace capsem::vsock {

using async::Loop;

// Where the guest comes from.
struct GuestFiles {
  std::filesystem::path kernel;
  std::filesystem::path modules;  // a squashfs with /lib/modules, or such a directory
  std::filesystem::path init;
};

// "--kernel=", "--modules=" and "--init=" out of the arguments.
GuestFiles parse_guest_files(int argc, char** argv);

// The file among them that is missing; empty when all are there.
std::filesystem::path missing_file(const GuestFiles& files);

class GuestMachine {
 public:
  struct Options {
    bool network = false;  // a virtio-net card on QEMU's user-mode network
    std::string vsock_device = "vhost-user-vsock-pci,chardev=vsock";
    DeviceOptions device;
  };

  // Starts the machine and waits until the guest said hello.
  static Result<std::unique_ptr<GuestMachine>> start(const GuestFiles& files, Options options);
  ~GuestMachine();

  Loop& loop() { return loop_; }
  Device& device() { return *device_; }

  // Has the guest carry out a command of guest_commands.cc; its answer. The event loop runs
  // meanwhile, and every task spawned on it.
  std::string command(const std::string& line);

  // Reboots the guest and waits for its next hello.
  void reboot();

  // Stops all of the guest's processors, or lets them go on, by a command of QEMU: "stop" or "cont"
  // (qapi/misc.json). QEMU takes the device's rings away for that time. The event loop runs
  // meanwhile.
  void control_processors(const std::string& command);

  // What the guest's console said.
  std::string console() const;

 private:
  GuestMachine() = default;
  Result<> launch(const GuestFiles& files, const Options& options);
  Result<> await_hello();
  Task<> read_line(std::optional<std::string>& line);
  void send(const std::string& line);

  Loop loop_;
  async::TaskGroup tasks_{loop_.executor()};
  std::optional<vm::Qmp> qmp_;
  std::unique_ptr<Device> device_;
  std::unique_ptr<Stream> control_;
  Fd initrd_;
  Fd console_;
  std::optional<Process> qemu_;
};

}  // namespace capsem::vsock
