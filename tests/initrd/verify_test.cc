#include "initrd/verify.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "cpio/writer.h"
#include "tests/initrd/guest_fixture.h"

namespace capsem::initrd {
namespace {

using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class Verify : public GuestFixture {
 protected:
  std::vector<std::string> problems(std::string_view image, const std::optional<Index>& index) {
    auto found = verify(as_bytes(image), manifest_, index);
    EXPECT_TRUE(found);
    return *found;
  }
};

TEST_F(Verify, FindsNothingWrongWithWhatWasPacked) {
  auto result = pack();
  ASSERT_TRUE(result);
  EXPECT_THAT(problems(image(), result->index), IsEmpty());
}

TEST_F(Verify, NamesAModeAnOwnerAndAMissingEntryThatBreakThePolicy) {
  cpio::Writer writer;
  ASSERT_TRUE(writer.add_file("init", as_bytes("#!x"), {.permissions = 0755}));
  ASSERT_TRUE(writer.add_file("capsem/bin/one", as_bytes("#!x"), {.permissions = 0755}));
  ASSERT_TRUE(writer.add_file("capsem/bin/two", as_bytes("#!x"), {.permissions = 0555, .uid = 5}));
  auto image = writer.finish();
  auto found = problems(as_text(image), std::nullopt);
  EXPECT_THAT(found, Contains(HasSubstr("/capsem/bin/one: its mode is 0755")));
  EXPECT_THAT(found, Contains(HasSubstr("/capsem/bin/two: it belongs to 5:0")));
  EXPECT_THAT(found, Contains(HasSubstr("data is missing")));
}

TEST_F(Verify, NamesAProgramThatIsNotStatic) {
  write("programs/one", read_file("/bin/true", 1 << 24).value());
  auto result = pack();
  ASSERT_TRUE(result);
  EXPECT_THAT(problems(image(), result->index), Contains(HasSubstr("one: it is not static")));
}

TEST_F(Verify, NamesTheDamagedSegment) {
  auto result = pack();
  ASSERT_TRUE(result);
  auto content = image();
  auto at = result->index.segments.at(1).offset + 30;
  content[at] ^= 1;
  auto found = problems(content, result->index);
  EXPECT_THAT(found, Contains(HasSubstr("hash in its index")));
  EXPECT_THAT(found, Contains(HasSubstr("segment at byte " +
                                        std::to_string(result->index.segments.at(1).offset))));
}

TEST_F(Verify, NoticesAFileThatIsNotTheIndexedOne) {
  auto result = pack();
  ASSERT_TRUE(result);
  auto index = result->index;
  index.entries.at(0).files.at(0).sha256 = {};
  EXPECT_THAT(problems(image(), index), Contains(HasSubstr("/init is not the one in the index")));
}

}  // namespace
}  // namespace capsem::initrd
