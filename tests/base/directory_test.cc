#include "base/directory.h"

#include <gtest/gtest.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include <array>
#include <cerrno>

#include "base/file.h"
#include "tests/base/in_child.h"
#include "tests/temporary_directory.h"

namespace capsem {
namespace {

// From here on this process reads no directory: getdents64(2) fails with EIO, as on a bad disk.
bool break_directories() {
  std::array<sock_filter, 4> program = {{
      BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(seccomp_data, nr)),
      BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_getdents64, 0, 1),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | EIO),
      BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
  }};
  sock_fprog filter{.len = program.size(), .filter = program.data()};
  return ::prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) == 0 &&
         ::prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &filter) == 0;
}

TEST(NamesIn, AreSortedAndWithoutTheDots) {
  testing::TemporaryDirectory directory;
  for (const char* name : {"b", "a", ".c"})
    ASSERT_TRUE(write_file_atomically(directory / name, ""));
  EXPECT_EQ(names_in(directory / "").value(), (std::vector<std::string>{".c", "a", "b"}));
}

TEST(NamesIn, AnErrorIsNotTheEndOfTheDirectory) {
  EXPECT_EQ(testing::in_child([] {
              if (!break_directories()) return 1;
              auto names = names_in("/");
              return names ? 0 : names.error().system_error();
            }),
            EIO);
}

}  // namespace
}  // namespace capsem
