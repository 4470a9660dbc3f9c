// The init of the boot tests: does one thing, named by its first argument, and ends the machine.
#include <dirent.h>
#include <fcntl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <cstdio>
#include <cstring>
#include <string>

namespace {

void print(const char* text) {
  [[maybe_unused]] auto written = ::write(1, text, std::strlen(text));
}

// A line for each thing below `directory`, which ends with a slash: TYPE-AND-MODE SIZE PATH.
void list(const std::string& directory) {
  DIR* stream = ::opendir(directory.c_str());
  if (stream == nullptr) return;
  while (const dirent* item = ::readdir(stream)) {
    const std::string name = item->d_name;
    const std::string path = directory + name;
    struct stat status{};
    if (name == "." || name == ".." || ::lstat(path.c_str(), &status) != 0) continue;
    char line[64];
    std::snprintf(line, sizeof line, "= %o %lld ", status.st_mode,
                  S_ISDIR(status.st_mode) ? 0LL : static_cast<long long>(status.st_size));
    print((line + path + "\n").c_str());
    if (S_ISDIR(status.st_mode)) list(path + "/");
  }
  ::closedir(stream);
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
  if (std::strcmp(what, "list") == 0) list("/");
  print("FLOOR\n");
  end(RB_POWER_OFF);
}
