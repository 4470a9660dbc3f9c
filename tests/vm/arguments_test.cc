#include "vm/arguments.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "base/text.h"

namespace capsem::vm {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::Not;
using ::testing::StartsWith;

Fd some_file() {
  return open_file("/dev/null", O_RDONLY).value();
}

Endpoints endpoints() {
  return {.qmp = some_file(),
          .console = some_file(),
          .vsock = some_file(),
          .errors = some_file(),
          .input = some_file()};
}

std::string line_of(const Machine& machine) {
  return join(invocation("qemu", machine, endpoints()).argv, " ");
}

TEST(Invocation, TakesNothingFromQemusDefaultsAndSandboxesIt) {
  auto kernel = some_file();
  auto line = line_of({.kernel = &kernel});
  EXPECT_THAT(line, StartsWith("qemu -nodefaults -no-user-config"));
  EXPECT_THAT(line, HasSubstr("-sandbox on,obsolete=deny,elevateprivileges=deny,spawn=deny,"
                              "resourcecontrol=deny"));
}

TEST(Invocation, HasNoNetworkDevice) {
  auto kernel = some_file();
  auto line = line_of({.kernel = &kernel});
  EXPECT_THAT(line, Not(HasSubstr("net")));
  EXPECT_THAT(line, Not(HasSubstr("-nic")));
}

TEST(Invocation, PassesEveryFileByItsDescriptor) {
  auto kernel = some_file();
  auto initrd = some_file();
  auto rootfs = some_file();
  auto ends = endpoints();
  Machine machine{.kernel = &kernel, .initrd = &initrd, .rootfs = &rootfs};
  auto made = invocation("qemu", machine, ends);
  std::map<int, int> here;  // by the number in QEMU
  for (auto [number, fd] : made.fds) here[number] = fd;
  EXPECT_EQ(here.size(), made.fds.size()) << "a number is used twice";
  auto value = [&](const std::string& option) {
    return *std::next(std::find(made.argv.begin(), made.argv.end(), option));
  };
  auto fd_at_end = [&](const std::string& text) {
    return here.at(std::stoi(text.substr(text.find_last_of("/=") + 1)));
  };
  EXPECT_EQ(fd_at_end(value("-kernel")), kernel.get());
  EXPECT_EQ(fd_at_end(value("-initrd")), initrd.get());
  EXPECT_EQ(here.at(std::stoi(value("-add-fd").substr(3))), rootfs.get());
  for (auto [id, fd] : {std::pair("qmp", ends.qmp.get()), std::pair("console", ends.console.get()),
                        std::pair("vsock", ends.vsock.get())}) {
    auto prefix = std::string("socket,id=") + id;
    auto chardev = std::find_if(made.argv.begin(), made.argv.end(),
                                [&](const auto& word) { return word.starts_with(prefix); });
    ASSERT_NE(chardev, made.argv.end()) << id;
    EXPECT_EQ(fd_at_end(*chardev), fd) << id;
  }
}

TEST(Invocation, OffersTheRootfsReadOnly) {
  auto kernel = some_file();
  auto rootfs = some_file();
  auto argv = invocation("qemu", {.kernel = &kernel, .rootfs = &rootfs}, endpoints()).argv;
  std::size_t layers = 0;
  for (const auto& word : argv) {
    if (!word.starts_with("driver=")) continue;
    ++layers;
    EXPECT_THAT(word, HasSubstr("read-only=on"));
  }
  EXPECT_EQ(layers, 2u);
}

TEST(Invocation, HasADiskThatDiscardsAndFlushesAndStopsWhenTheHostIsFull) {
  auto kernel = some_file();
  auto rootfs = some_file();
  auto disk = some_file();
  auto made =
      invocation("qemu", {.kernel = &kernel, .rootfs = &rootfs, .disk = &disk}, endpoints());
  auto line = join(made.argv, " ");
  EXPECT_THAT(line, HasSubstr("filename=/dev/fdset/2,discard=unmap,locking=on"));
  EXPECT_THAT(line, HasSubstr("drive=disk,werror=enospc,rerror=report"));
  EXPECT_THAT(line, Not(HasSubstr("no-flush")));
  // The guest finds them by their order.
  EXPECT_LT(line.find("drive=rootfs"), line.find("drive=disk"));
  auto word = line.substr(0, line.find(",set=2"));
  auto number = std::stoi(word.substr(word.rfind('=') + 1));
  EXPECT_THAT(made.fds, Contains(std::pair(number, disk.get())));
}

TEST(Invocation, GivesVsockToThoseWhoAsk) {
  auto kernel = some_file();
  EXPECT_THAT(line_of({.kernel = &kernel}), HasSubstr("vhost-user-vsock-pci"));
  EXPECT_THAT(line_of({.kernel = &kernel, .vsock = false}), Not(HasSubstr("vsock")));
}

TEST(Invocation, RebootsWhenAsked) {
  auto kernel = some_file();
  EXPECT_THAT(line_of({.kernel = &kernel}), HasSubstr("-no-reboot"));
  EXPECT_THAT(line_of({.kernel = &kernel, .reboot_ends = false}), Not(HasSubstr("-no-reboot")));
}

TEST(KernelCommandLine, KeepsTheConsoleAndEndsAPanic) {
  Machine machine{.command_line = "capsem.x=1"};
  auto words = kernel_command_line(machine);
  EXPECT_THAT(split(words, ' '), Contains("console=ttyS0"));
  EXPECT_THAT(split(words, ' '), Contains("panic=-1"));
  EXPECT_TRUE(words.ends_with(" capsem.x=1"));
}

TEST(KernelCommandLine, AsksForFixedAddressesOnlyUnderTcg) {
  auto asked = [](Accelerator accelerator) {
    return kernel_command_line({.accelerator = accelerator}).contains(" capsem.fixed_addresses");
  };
  EXPECT_TRUE(asked(Accelerator::kTcg));
  EXPECT_FALSE(asked(Accelerator::kKvm));
}

TEST(KernelCommandLine, SparesTheLocalApicsTimerOnlyForOneProcessorUnderTcg) {
  auto spared = [](Accelerator accelerator, unsigned cpus) {
    Machine machine{.accelerator = accelerator, .cpus = cpus};
    return kernel_command_line(machine).find("nolapic_timer") != std::string::npos;
  };
  EXPECT_TRUE(spared(Accelerator::kTcg, 1));
  EXPECT_FALSE(spared(Accelerator::kTcg, 2));
  EXPECT_FALSE(spared(Accelerator::kKvm, 1));
}

TEST(KernelCommandLine, IsEmptyForAGuestThatIsNotLinux) {
  EXPECT_EQ(kernel_command_line({.linux_guest = false}), "");
}

}  // namespace
}  // namespace capsem::vm
