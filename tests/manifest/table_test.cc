#include "manifest/table.h"

#include <gtest/gtest.h>

#include "manifest/parse.h"

namespace capsem::manifest {
namespace {

TEST(Table, CarriesWhatTheGuestNeeds) {
  auto source = load(std::filesystem::path(CAPSEM_SOURCE_DIRECTORY) / "guest.toml");
  ASSERT_TRUE(source);
  source->entries[1].service->arguments = {"--one", "two words"};
  source->entries[1].service->listen = {5001, 6000, 7};
  source->entries[2].service->restart = false;
  source->entries[2].service->capabilities = kSessionCapabilities;
  auto table = decode_table(encode_table(*source));
  ASSERT_TRUE(table) << table.error().message();
  ASSERT_EQ(table->entries.size(), source->entries.size());
  for (std::size_t i = 0; i < table->entries.size(); ++i) {
    const auto& a = source->entries[i];
    const auto& b = table->entries[i];
    EXPECT_EQ(a.name, b.name);
    EXPECT_EQ(a.path, b.path);
    EXPECT_EQ(a.mode, b.mode);
    EXPECT_EQ(a.in_initrd, b.in_initrd);
    EXPECT_EQ(a.in_rootfs, b.in_rootfs);
    EXPECT_EQ(a.essential, b.essential);
    EXPECT_EQ(a.build.has_value(), b.build.has_value());
    ASSERT_EQ(a.service.has_value(), b.service.has_value());
    if (!a.service) continue;
    EXPECT_EQ(a.service->arguments, b.service->arguments);
    EXPECT_EQ(a.service->listen, b.service->listen);
    EXPECT_EQ(a.service->network, b.service->network);
    EXPECT_EQ(a.service->restart, b.service->restart);
    EXPECT_EQ(a.service->capabilities, b.service->capabilities);
  }
}

TEST(Table, RefusesWhatItDidNotWrite) {
  for (std::string_view text :
       {"", "something else\n", "capsem-entries 1\n", "capsem-entries 2\nname\n",
        "capsem-entries 2\nx\trelative\t0555\ti\t-\t-\n",
        "capsem-entries 2\nx\t/x\t0999\ti\t-\t-\n", "capsem-entries 2\nx\t/x\t0555\ti\t-\n",
        "capsem-entries 2\nx\t/x\t0555\tis\tport\t0\n",
        "capsem-entries 2\nx\t/x\t0555\tis\t5001,\t0\n",
        "capsem-entries 2\nx\t/x\t0555\tis\t-\tall\n",
        "capsem-entries 2\nx\t/x\t0555\ti\t-\t-\textra\n"})
    EXPECT_FALSE(decode_table(text)) << text;
}

}  // namespace
}  // namespace capsem::manifest
