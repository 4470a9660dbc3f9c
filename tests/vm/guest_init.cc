// The init of the boot tests: does one thing, named by its first argument, and ends the machine.
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstring>

namespace {

void print(const char* text) {
  [[maybe_unused]] auto written = ::write(1, text, std::strlen(text));
}

[[noreturn]] void end(int how) {
  ::reboot(how);
  for (;;) ::pause();
}

}  // namespace

int main(int argc, char** argv) {
  ::mkdir("/dev", 0755);
  ::mknod("/dev/console", S_IFCHR | 0600, ::makedev(5, 1));
  int console = ::open("/dev/console", O_RDWR);
  ::dup2(console, 1);
  const char* what = argc > 1 ? argv[1] : "";
  if (std::strcmp(what, "panic") == 0) return 3;
  if (std::strcmp(what, "reboot") == 0) end(RB_AUTOBOOT);
  if (std::strcmp(what, "noise") == 0)
    print(
        "\x1b[2J\xff\x9b"
        "noise\n");
  if (std::strcmp(what, "hang") == 0) {
    print("hanging");
    for (;;) ::pause();
  }
  print("FLOOR\n");
  end(RB_POWER_OFF);
}
