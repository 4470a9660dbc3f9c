#include "audit/store.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <chrono>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include "audit/reader.h"
#include "audit/schema.h"
#include "base/fd.h"
#include "tests/audit/samples.h"
#include "tests/temporary_directory.h"

namespace capsem::audit {
namespace {

using capsem::testing::TemporaryDirectory;
using std::chrono::milliseconds;
using testing::a_connection;
using testing::a_name;
using testing::a_request;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using testing::records_in;
using ::testing::SizeIs;
using Clock = std::chrono::steady_clock;

// What a store warned of.
struct Warnings {
  Warn take() {
    return [this](const std::string& text) { lines.push_back(text); };
  }
  std::vector<std::string> lines;
};

TEST(AuditStore, WhatWasAddedIsReadBackAfterAClose) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  store.add(a_name());
  store.add(a_connection(3));
  store.add(a_request());
  store.close();
  EXPECT_THAT(records_in(directory.path()),
              ElementsAre(Record(a_name()), Record(a_connection(3)), Record(a_request())));
  EXPECT_THAT(warnings.lines, IsEmpty());
}

TEST(AuditStore, ACloseLosesNothingOfWhatStillWaits) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  for (int i = 0; i < 10'000; ++i) store.add(a_name(std::to_string(i)));
  store.close();
  auto records = records_in(directory.path());
  ASSERT_THAT(records, SizeIs(10'000));
  EXPECT_EQ(std::get<NameAsked>(records.back()).name, "9999");
}

TEST(AuditStore, ATimeThatIsNotSetIsNow) {
  TemporaryDirectory directory;
  Warnings warnings;
  auto before = std::chrono::system_clock::now();
  Store store(directory.path(), warnings.take());
  store.add(NameAsked{.name = "example.com"});
  store.close();
  auto records = records_in(directory.path());
  ASSERT_THAT(records, SizeIs(1));
  auto at = std::get<NameAsked>(records.front()).at;
  EXPECT_GE(at, before - milliseconds(1));
  EXPECT_LE(at, std::chrono::system_clock::now());
}

TEST(AuditStore, TheEndOfAConnectionTakesThePlaceOfItsBegin) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  auto connection = a_connection(store.new_connection());
  connection.ending = Ending::kOpen;
  store.add(connection);
  store.add(a_name());
  connection.ending = Ending::kDone;
  store.add(connection);
  store.close();
  EXPECT_THAT(records_in(directory.path()), ElementsAre(Record(a_name()), Record(connection)));
}

TEST(AuditStore, ConnectionsOfTwoRunsAreTold) {
  TemporaryDirectory directory;
  Warnings warnings;
  for (int run = 0; run < 2; ++run) {
    Store store(directory.path(), warnings.take());
    store.add(a_connection(store.new_connection()));
  }
  auto page = Reader::open(directory.path())->after(0, {}, 10);
  ASSERT_TRUE(page);
  ASSERT_THAT(page->entries, SizeIs(2));
  EXPECT_EQ(page->entries.front().run, 1);
  EXPECT_EQ(page->entries.back().run, 2);
}

TEST(AuditStore, WhatMoreThanWaitsAtOnceIsCountedAndLeftOut) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take(),
              {.waiting_records = 10'000, .waiting_bytes = 20'000});
  for (int i = 0; i < 1000; ++i) store.add(a_name());
  store.close();
  auto records = records_in(directory.path());
  ASSERT_FALSE(records.empty());
  auto* dropped = std::get_if<Dropped>(&records.back());
  ASSERT_NE(dropped, nullptr);
  EXPECT_GT(dropped->records, 900U);
  EXPECT_EQ(dropped->records + records.size() - 1, 1000U);
  EXPECT_THAT(warnings.lines, ElementsAre(HasSubstr("faster than its log can be written")));
}

TEST(AuditStore, TextOfTheGuestIsBoundedAndSafeToPrint) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  auto request = a_request();
  request.path = "/\x1b[2J" + std::string(1 << 20, 'a');
  request.host = "ex\xff";
  store.add(request);
  store.close();
  auto records = records_in(directory.path());
  ASSERT_THAT(records, SizeIs(1));
  auto kept = std::get<Request>(records.front());
  EXPECT_THAT(kept.path, ::testing::StartsWith("/\\x1b[2Jaaa"));
  EXPECT_LT(kept.path.size(), 2100U);
  EXPECT_EQ(kept.host, "ex\\xff");
}

TEST(AuditStore, AValueOfTheQueryThatIsACredentialIsNotKept) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  auto request = a_request();
  request.path = "/v1beta/models?key=AIzaSy&alt=sse&X-Amz-Signature=0ab1&token";
  store.add(request);
  store.close();
  auto records = records_in(directory.path());
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(std::get<Request>(records.front()).path,
            "/v1beta/models?key=...&alt=sse&X-Amz-Signature=...&token");
}

TEST(AuditStore, TheOldestRowsGoWhenTheFileIsFull) {
  TemporaryDirectory directory;
  Warnings warnings;
  constexpr std::uint64_t kLimit = 1 << 20;
  constexpr int kRecords = 30'000;
  {
    Store store(directory.path(), warnings.take(),
                {.file_bytes = kLimit, .waiting_records = kRecords, .waiting_bytes = 100 << 20});
    for (int i = 0; i < kRecords; ++i) {
      store.add(a_name(std::to_string(i)));
      if (i % 10'000 == 0) std::this_thread::sleep_for(2 * kBatchDelay);
    }
  }
  auto records = records_in(directory.path());
  EXPECT_THAT(warnings.lines, IsEmpty());
  EXPECT_GT(records.size(), 5000U);
  EXPECT_LT(records.size(), 20'000U);
  EXPECT_EQ(std::get<NameAsked>(records.back()).name, std::to_string(kRecords - 1));
  // The file keeps what it grew to within a batch.
  EXPECT_LT(std::filesystem::file_size(directory / kFile), 4 * kLimit);
}

TEST(AuditStore, MoreThanTheFileHoldsAtOnceLosesNothingButTheOldest) {
  TemporaryDirectory directory;
  Warnings warnings;
  {
    Store store(directory.path(), warnings.take(),
                {.file_bytes = 4 << 20, .waiting_records = 100'000, .waiting_bytes = 200 << 20});
    auto request = a_request();
    request.path = "/" + std::string(2000, '\x01');  // which becomes four times as long
    for (int i = 0; i < 20'000; ++i) store.add(request);
    store.add(a_name("last"));
  }
  EXPECT_THAT(warnings.lines, IsEmpty());
  auto records = records_in(directory.path());
  ASSERT_GT(records.size(), 500U);
  EXPECT_EQ(records.back(), Record(a_name("last")));
  EXPECT_LT(std::filesystem::file_size(directory / kFile), 24U << 20);
}

TEST(AuditStore, ADamagedFileIsSetAsideWithAWarning) {
  TemporaryDirectory directory;
  Warnings warnings;
  std::ofstream(directory / kFile) << std::string(10'000, 'x');
  {
    Store store(directory.path(), warnings.take());
    store.add(a_name());
  }
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
  EXPECT_EQ(std::filesystem::file_size(directory / kSetAsideFile), 10'000U);
  EXPECT_THAT(warnings.lines, ElementsAre(HasSubstr("set aside as audit.db.damaged")));
}

TEST(AuditStore, AFileThatIsDamagedFromSomePageOnIsSetAside) {
  TemporaryDirectory directory;
  Warnings warnings;
  {
    Store store(directory.path(), warnings.take());
    for (int i = 0; i < 5000; ++i) store.add(a_name());
  }
  {
    std::fstream file(directory / kFile, std::ios::in | std::ios::out | std::ios::binary);
    auto size = std::filesystem::file_size(directory / kFile);
    file.seekp(4096);
    file << std::string(size - 4096, '\xee');
  }
  {
    Store store(directory.path(), warnings.take());
    store.add(a_name());
  }
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
  EXPECT_THAT(warnings.lines, ElementsAre(HasSubstr("set aside")));
}

TEST(AuditStore, AFileOfAnotherProgramOrVersionIsSetAside) {
  for (const char* change : {"PRAGMA application_id = 1", "PRAGMA user_version = 99",
                             "ALTER TABLE records DROP COLUMN rule"}) {
    TemporaryDirectory directory;
    Warnings warnings;
    {
      Store store(directory.path(), warnings.take());
    }
    ASSERT_TRUE(Database::open(directory / kFile, Access::kWrite)->execute(change));
    {
      Store store(directory.path(), warnings.take());
      store.add(a_name());
    }
    EXPECT_THAT(records_in(directory.path()), SizeIs(1)) << change;
    EXPECT_TRUE(std::filesystem::exists(directory / kSetAsideFile)) << change;
    EXPECT_THAT(warnings.lines, SizeIs(1)) << change;
  }
}

TEST(AuditStore, TheFileIsItsOwnersAlone) {
  TemporaryDirectory directory;
  Store store(directory.path(), [](const std::string&) {});
  store.add(a_name());
  std::this_thread::sleep_for(kCrashWindow);
  for (const char* part : {"", "-wal", "-shm"})
    EXPECT_EQ(std::filesystem::status(directory / (std::string(kFile) + part)).permissions(),
              std::filesystem::perms(0600))
        << part;
}

TEST(AuditStore, WhatIsNoFileIsSetAside) {
  TemporaryDirectory directory;
  Warnings warnings;
  ASSERT_EQ(::mkfifo((directory / kFile).c_str(), 0600), 0);
  {
    Store store(directory.path(), warnings.take());
    store.add(a_name());
  }
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
  EXPECT_THAT(warnings.lines, ElementsAre(HasSubstr("it is no file")));
}

TEST(AuditStore, ALinkInTheFilesPlaceIsNotFollowed) {
  TemporaryDirectory directory;
  TemporaryDirectory elsewhere;
  Warnings warnings;
  std::filesystem::create_symlink(elsewhere / "target", directory / kFile);
  {
    Store store(directory.path(), warnings.take());
    store.add(a_name());
  }
  EXPECT_FALSE(std::filesystem::exists(elsewhere / "target"));
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
}

TEST(AuditStore, ADirectoryIsFoundByItsDescriptor) {
  TemporaryDirectory directory;
  Warnings warnings;
  auto opened = open_file(directory.path(), O_RDONLY | O_DIRECTORY);
  ASSERT_TRUE(opened);
  {
    Store store("/proc/self/fd/" + std::to_string(opened->get()), warnings.take());
    store.add(a_name());
  }
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
}

TEST(AuditStore, ADirectoryThatIsGoneIsAWarningAndNoMore) {
  TemporaryDirectory directory;
  Warnings warnings;
  {
    Store store(directory / "none", warnings.take());
    store.add(a_name());
    std::this_thread::sleep_for(2 * kBatchDelay);
    store.add(a_name());
    std::this_thread::sleep_for(2 * kBatchDelay);
  }
  EXPECT_THAT(warnings.lines, SizeIs(2));
  EXPECT_THAT(warnings.lines, Each(HasSubstr("No such file or directory")));
}

TEST(AuditStore, AFileThatIsRemovedIsBegunAnew) {
  TemporaryDirectory directory;
  Warnings warnings;
  {
    Store store(directory.path(), warnings.take());
    store.add(a_name("before"));
    std::this_thread::sleep_for(3 * kBatchDelay);
    std::filesystem::remove(directory / kFile);
    store.add(a_name("after"));
  }
  EXPECT_THAT(records_in(directory.path()), ElementsAre(Record(a_name("after"))));
  EXPECT_THAT(warnings.lines, IsEmpty());
}

TEST(AuditStore, ARecordIsThereForAReaderWithinTheCrashWindow) {
  TemporaryDirectory directory;
  Warnings warnings;
  Store store(directory.path(), warnings.take());
  store.add(a_name());
  std::this_thread::sleep_for(kCrashWindow);
  EXPECT_THAT(records_in(directory.path()), SizeIs(1));
}

// Adds a record a millisecond, and says the time of each on `told`, until it is killed.
[[noreturn]] void add_until_killed(const std::filesystem::path& directory, int told) {
  Store store(directory, [](const std::string&) {});
  auto connection = a_connection(store.new_connection());
  connection.ending = Ending::kOpen;
  store.add(connection);
  for (;;) {
    auto at = Clock::now().time_since_epoch().count();
    store.add(a_name(std::to_string(at)));
    if (::write(told, &at, sizeof at) != sizeof at) ::_exit(1);
    std::this_thread::sleep_for(milliseconds(1));
  }
}

TEST(AuditStore, AKillTakesTheLastSecondAtMost) {
  TemporaryDirectory directory;
  auto pipe = make_pipe();
  ASSERT_TRUE(pipe);
  pid_t child = ::fork();
  if (child == 0) {
    pipe->first.reset();
    add_until_killed(directory.path(), pipe->second.get());
  }
  pipe->second.reset();
  std::this_thread::sleep_for(milliseconds(2500));
  auto killed = Clock::now();
  ASSERT_EQ(::kill(child, SIGKILL), 0);
  ASSERT_EQ(::waitpid(child, nullptr, 0), child);

  std::size_t due = 0;
  std::size_t added = 0;
  Clock::rep at = 0;
  while (::read(pipe->first.get(), &at, sizeof at) == sizeof at) {
    ++added;
    if (Clock::time_point(Clock::duration(at)) < killed - kCrashWindow) ++due;
  }
  auto records = records_in(directory.path());
  EXPECT_GT(due, 500U);
  EXPECT_GE(records.size(), due + 1) << added << " were added";
  std::printf("of %zu records added %zu were kept, %zu were due\n", added, records.size() - 1, due);

  // Who comes next says what became of the connection.
  {
    Store store(directory.path(), [](const std::string&) {});
  }
  EXPECT_EQ(std::get<Connection>(records_in(directory.path()).front()).ending, Ending::kLost);
}

}  // namespace
}  // namespace capsem::audit
