#include "audit/reader.h"

#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "audit/schema.h"
#include "audit/store.h"
#include "tests/audit/samples.h"
#include "tests/temporary_directory.h"

namespace capsem::audit {
namespace {

using capsem::testing::TemporaryDirectory;
using std::chrono::seconds;
using testing::a_connection;
using testing::a_name;
using testing::a_request;
using ::testing::ElementsAre;
using testing::kNoon;
using testing::records_in;
using ::testing::SizeIs;

TEST(AuditReader, AFilterLeavesOutWhatIsNotAskedFor) {
  TemporaryDirectory directory;
  {
    Store store(directory.path(), [](const std::string&) {});
    store.add(a_name());
    store.add(a_connection(1));
    auto request = a_request();
    request.begin = kNoon + seconds(60);
    store.add(request);
  }
  EXPECT_THAT(records_in(directory.path(), {.denied_only = true}), ElementsAre(Record(a_name())));
  EXPECT_THAT(records_in(directory.path(), {.requests_only = true}), SizeIs(1));
  EXPECT_THAT(records_in(directory.path(), {.since = kNoon + seconds(30)}), SizeIs(1));
}

TEST(AuditReader, FollowsFromWhereItWas) {
  TemporaryDirectory directory;
  Store store(directory.path(), [](const std::string&) {});
  store.add(a_name("one"));
  std::this_thread::sleep_for(kCrashWindow);
  auto reader = Reader::open(directory.path());
  ASSERT_TRUE(reader) << reader.error().message();
  auto first = reader->after(0, {}, 10);
  ASSERT_TRUE(first);
  ASSERT_THAT(first->entries, SizeIs(1));
  store.add(a_name("two"));
  store.close();
  auto second = reader->after(first->sequence, {}, 10);
  ASSERT_TRUE(second);
  ASSERT_THAT(second->entries, SizeIs(1));
  EXPECT_EQ(std::get<NameAsked>(second->entries.front().record).name, "two");
  EXPECT_FALSE(reader->is_replaced());
}

TEST(AuditReader, APageEndsAtItsLimitAndTheNextGoesOn) {
  TemporaryDirectory directory;
  {
    Store store(directory.path(), [](const std::string&) {});
    for (int i = 0; i < 25; ++i) store.add(i % 5 == 0 ? Record(a_name()) : Record(a_connection(i)));
  }
  auto reader = Reader::open(directory.path());
  std::vector<std::size_t> sizes;
  Page page;
  while (!page.is_last) {
    page = reader->after(page.sequence, {.denied_only = true}, 2).value();
    sizes.push_back(page.entries.size());
  }
  EXPECT_THAT(sizes, ElementsAre(2, 2, 1));
  // Behind all rows, those that the filter left out too.
  EXPECT_EQ(page.sequence, 25);
}

TEST(AuditReader, SumsUsageByModelAndHost) {
  TemporaryDirectory directory;
  {
    Store store(directory.path(), [](const std::string&) {});
    store.add(a_request());
    store.add(a_request());
    auto other = a_request();
    other.usage->model = "claude-haiku-4-5";
    store.add(other);
    store.add(a_name());
  }
  auto sums = Reader::open(directory.path())->usage({});
  ASSERT_TRUE(sums) << sums.error().message();
  EXPECT_THAT(*sums, ElementsAre(UsageSum{.host = "api.anthropic.com",
                                          .provider = "anthropic",
                                          .model = "claude-sonnet-4-5",
                                          .requests = 2,
                                          .input_tokens = 2400,
                                          .cached_input_tokens = 2000,
                                          .output_tokens = 600},
                                 UsageSum{.host = "api.anthropic.com",
                                          .provider = "anthropic",
                                          .model = "claude-haiku-4-5",
                                          .requests = 1,
                                          .input_tokens = 1200,
                                          .cached_input_tokens = 1000,
                                          .output_tokens = 300}));
}

TEST(AuditReader, AFileThatIsNotThereOrNoneOfOursIsAnError) {
  TemporaryDirectory directory;
  EXPECT_EQ(Reader::open(directory.path()).error().kind(), ErrorKind::kNotFound);
  std::ofstream(directory / kFile) << "something else altogether";
  auto refused = Reader::open(directory.path());
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().kind(), ErrorKind::kDamaged);
  // A reader changes nothing.
  EXPECT_EQ(std::filesystem::file_size(directory / kFile), 25U);
}

TEST(AuditReader, AFileOfAnotherProgramOrVersionIsAnError) {
  for (const char* change : {"PRAGMA application_id = 1", "PRAGMA user_version = 99"}) {
    TemporaryDirectory directory;
    {
      Store store(directory.path(), [](const std::string&) {});
    }
    ASSERT_TRUE(Database::open(directory / kFile, Access::kWrite)->execute(change));
    auto refused = Reader::open(directory.path());
    ASSERT_FALSE(refused) << change;
    EXPECT_EQ(refused.error().kind(), ErrorKind::kDamaged);
  }
}

}  // namespace
}  // namespace capsem::audit
