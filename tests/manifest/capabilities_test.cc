#include "manifest/capabilities.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "manifest/parse.h"

namespace capsem::manifest {
namespace {

TEST(Capabilities, AreFoundByName) {
  EXPECT_EQ(find_capability("net_bind_service"), capability_bit(CAP_NET_BIND_SERVICE));
  EXPECT_EQ(find_capability("checkpoint_restore"), capability_bit(CAP_CHECKPOINT_RESTORE));
  EXPECT_EQ(find_capability("CAP_KILL"), std::nullopt);
}

TEST(Capabilities, AreWrittenInTheKernelsOrder) {
  EXPECT_EQ(capability_names(capability_bit(CAP_BPF) | capability_bit(CAP_KILL)), "kill bpf");
  EXPECT_EQ(capability_names(0), "");
  EXPECT_EQ(capability_names(capability_bit(63)), "63");
}

TEST(Capabilities, AllIsEveryOne) {
  EXPECT_EQ(find_capability("all"), kAllCapabilities);
}

TEST(Capabilities, ASessionHasNoneThatLeadsOutOfIt) {
  for (int number : {CAP_SYS_ADMIN, CAP_SYS_MODULE, CAP_SYS_PTRACE, CAP_SYS_RAWIO, CAP_SYS_BOOT,
                     CAP_MKNOD, CAP_DAC_READ_SEARCH, CAP_BPF, CAP_PERFMON, CAP_SYSLOG,
                     CAP_NET_ADMIN, CAP_SYS_RESOURCE, CAP_SYS_TIME, CAP_MAC_ADMIN})
    EXPECT_EQ(kSessionCapabilities & capability_bit(number), 0U) << number;
}

TEST(Capabilities, OfAServiceAreRead) {
  constexpr const char* kText = R"(version = 1
[[entry]]
name = "init"
build = "init"
path = "/init"
mode = "0755"
into = ["initrd"]
[[entry]]
name = "x"
build = "x"
path = "/capsem/bin/x"
mode = "0555"
into = ["initrd"]
service = { capabilities = ["NAME"] }
)";
  std::string text = kText;
  auto refused = parse(text, "guest.toml");
  ASSERT_FALSE(refused);
  EXPECT_THAT(refused.error().message(),
              testing::HasSubstr("guest.toml:14: there is no capability \"NAME\""));
  text.replace(text.find("NAME"), 4, "kill");
  auto manifest = parse(text, "guest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message();
  EXPECT_EQ(manifest->entries[1].service->capabilities, capability_bit(CAP_KILL));
}

}  // namespace
}  // namespace capsem::manifest
