#include "manifest/deployed.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/fd.h"

namespace capsem::manifest {
namespace {

const Digest kHash = sha256(as_bytes("abc"));

std::string line(std::string_view origin, std::string_view hash) {
  return "tool\t" + std::string(origin) + "\t" + std::string(hash) + "\n";
}

TEST(Deployed, IsALineAnEntryWithOriginAndHash) {
  std::vector<DeployedEntry> entries = {
      {"one", Origin::kInitrd, kHash}, {"two", Origin::kRootfs, kHash}, {"three"}};
  EXPECT_EQ(encode_deployed(entries), "one\tinitrd\t" + kHash.hex() + "\ntwo\trootfs\t" +
                                          kHash.hex() + "\nthree\tabsent\t-\n");
}

TEST(Deployed, ReadsWhatItWrites) {
  std::vector<DeployedEntry> entries = {
      {"one", Origin::kInitrd, kHash}, {"two"}, {"three", Origin::kRootfs, Digest{}}};
  auto read = decode_deployed(encode_deployed(entries));
  ASSERT_TRUE(read) << read.error().message();
  EXPECT_EQ(*read, entries);
  EXPECT_EQ(decode_deployed("").value(), std::vector<DeployedEntry>{});
}

TEST(Deployed, RefusesWhatItDoesNotWrite) {
  auto hex = kHash.hex();
  for (const auto& text :
       {line("disk", hex), line("initrd", "-"), line("absent", hex), line("rootfs", hex.substr(1)),
        line("initrd", hex + "\tmore"), "\tinitrd\t" + hex + "\n", std::string("tool\tinitrd\n"),
        std::string("\n"), "tool\tinitrd\t" + hex})
    EXPECT_FALSE(decode_deployed(text)) << text;
}

TEST(Deployed, NamesTheLineThatIsWrong) {
  auto read = decode_deployed(line("initrd", kHash.hex()) + "nonsense\n");
  ASSERT_FALSE(read);
  EXPECT_THAT(read.error().message(), ::testing::HasSubstr("/capsem/deployed:2"));
}

}  // namespace
}  // namespace capsem::manifest
