#include "initrd/plan_check.h"

#include <gtest/gtest.h>

#include "tests/initrd/elf_head.h"

namespace capsem::initrd {
namespace {

using Nodes = std::vector<Node>;

Node file(const std::string& path, std::string content, std::uint32_t permissions = 0755) {
  return node_of_bytes(path, cpio::kRegular | permissions, std::move(content));
}

Node symlink(const std::string& path, std::string target) {
  return node_of_bytes(path, cpio::kSymlink | 0777, std::move(target));
}

Node directory(const std::string& path) {
  return node_of_bytes(path, cpio::kDirectory | 0755, "");
}

std::string why(Nodes nodes) {
  auto plan = plan_nodes({.early = {}, .nodes = std::move(nodes)}, codec::Codec::kGzip);
  return why_no_init(plan).value_or("");
}

TEST(WhyNoInit, NothingIsSaidOfAnInitThatLinuxCanStartAndOfNone) {
  const auto program = elf_head(EM_X86_64);
  EXPECT_EQ(why({}), "");
  EXPECT_EQ(why({file("other", "text")}), "");
  EXPECT_EQ(why({file("init", program)}), "");
  EXPECT_EQ(why({file("init", program + std::string(1 << 20, 'x'))}), "");
  EXPECT_EQ(why({directory("bin"), symlink("init", "bin/x"), file("bin/x", program)}), "");
  EXPECT_EQ(why({file("init", "#!/sh -e\n"), file("sh", program)}), "");
  Node linked = file("sh", program);
  linked.paths.emplace_back("init");
  EXPECT_EQ(why({linked}), "");
  // The last one counts.
  EXPECT_EQ(why({file("init", "text"), file("init", program)}), "");
}

TEST(WhyNoInit, EachReasonIsItsOwnSentence) {
  struct Case {
    Nodes nodes;
    const char* reason;
  };
  const auto program = elf_head(EM_X86_64);
  for (const auto& [nodes, reason] :
       {Case{{file("init", program, 0644)}, "it cannot be executed: its mode is 0644"},
        Case{{file("init", elf_head(EM_AARCH64))}, "it is a program for aarch64, not for x86_64"},
        Case{{file("init", "text")}, "it is neither an ELF file nor a script"},
        Case{{file("init", "#!/sh\n")}, "it is a script for /sh, which is not in the image"},
        Case{{file("init", "#!/sh\n"), file("sh", "#!/bash\n")},
             "its interpreter /sh is a script for /bash, which is not in the image"},
        Case{{file("init", "#!/init\n")}, "its interpreters are scripts, more than Linux follows"},
        Case{{symlink("init", "x")}, "it is a symlink to x, which leads to nothing in the image"},
        Case{{symlink("init", "x"), symlink("x", "init")},
             "it is a symlink to x, which leads in circles, or through more symlinks than Linux "
             "follows"},
        Case{{directory("init")}, "it is a directory"}}) {
    EXPECT_EQ(why(nodes), reason);
  }
}

}  // namespace
}  // namespace capsem::initrd
