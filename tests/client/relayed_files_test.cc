// What may stand behind the user's standard streams, and that nothing is done to it but reading
// and writing.
#include <gtest/gtest.h>

#include <vector>

#include "base/file.h"
#include "base/sha256.h"
#include "tests/client/capsem_process.h"
#include "tests/temporary_directory.h"

namespace capsem::client {
namespace {

// 100 MB in which no two blocks are the same.
std::filesystem::path make_large_file(const testing::TemporaryDirectory& directory) {
  auto path = directory / "large";
  auto file = open_file(path, O_WRONLY | O_CREAT, 0600);
  std::vector<std::uint32_t> block(250'000);
  std::uint32_t state = 1;
  for (int i = 0; i < 100; ++i) {
    for (auto& word : block) word = state = state * 1664525 + 1013904223;
    EXPECT_TRUE(write_full(*file, std::as_bytes(std::span(block)), "large"));
  }
  return path;
}

Digest digest_of(const std::filesystem::path& path) {
  auto file = open_file(path, O_RDONLY);
  return sha256(*file, path).value();
}

TEST(RelayedFiles, ALargeFileComesBackByteForByteFromFileToFile) {
  testing::TemporaryDirectory directory;
  auto path = make_large_file(directory);
  auto in = open_file(path, O_RDONLY);
  auto out = open_file(directory / "out", O_WRONLY | O_CREAT, 0600);
  CapsemProcess process(command_line("cat"), {in->get(), out->get(), 2});
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(digest_of(directory / "out"), digest_of(path));
}

TEST(RelayedFiles, ALargeFileComesBackByteForByteThroughPipes) {
  testing::TemporaryDirectory directory;
  auto path = make_large_file(directory);
  auto in = make_pipe();
  auto out = make_pipe();
  CapsemProcess process(command_line("cat"), {in->first.get(), out->second.get(), 2});
  in->first.reset();
  out->second.reset();
  auto feeder = Process::start({.argv = {"cat", path}, .fds = {{1, in->second.get()}}});
  in->second.reset();
  Sha256 hash;
  std::vector<std::byte> buffer(1 << 16);
  for (;;) {
    auto n = read_full(out->first, buffer, "output");
    ASSERT_TRUE(n);
    if (*n == 0) break;
    hash.update(std::span(buffer).first(*n));
  }
  EXPECT_EQ(hash.finish(), digest_of(path));
  EXPECT_EQ(process.wait(), 0);
}

TEST(RelayedFiles, ALargeFileComesBackByteForByteThroughSockets) {
  testing::TemporaryDirectory directory;
  auto path = make_large_file(directory);
  auto in = socket_pair();
  auto out = socket_pair();
  CapsemProcess process(command_line("cat"), {in->first.get(), out->second.get(), 2});
  in->first.reset();
  out->second.reset();
  auto feeder = Process::start({.argv = {"cat", path}, .fds = {{1, in->second.get()}}});
  in->second.reset();
  auto sink = open_file(directory / "out", O_WRONLY | O_CREAT, 0600);
  auto drain = Process::start({.argv = {"cat"}, .fds = {{0, out->first.get()}, {1, sink->get()}}});
  EXPECT_TRUE(drain->wait()->success());
  EXPECT_EQ(digest_of(directory / "out"), digest_of(path));
  EXPECT_EQ(process.wait(), 0);
}

TEST(RelayedFiles, DescriptorsKeepTheirFlags) {
  auto in = make_pipe();
  auto out = make_pipe();
  auto err = socket_pair();
  {
    CapsemProcess process(command_line("echo started; cat >/dev/null"),
                          {in->first.get(), out->second.get(), err->second.get()});
    std::string text;
    ASSERT_TRUE(read_until(out->first.get(), text, "started"));
    // While it runs and after it was killed alike: what we hold are the same open files.
    for (int fd : {in->first.get(), out->second.get(), err->second.get()})
      EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
  }
  for (int fd : {in->first.get(), out->second.get(), err->second.get()})
    EXPECT_EQ(::fcntl(fd, F_GETFL) & O_NONBLOCK, 0);
}

TEST(RelayedFiles, AppendsToAFileAsTheShellOpenedIt) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(write_file_atomically(directory / "log", "first\n"));
  auto log = open_file(directory / "log", O_WRONLY | O_APPEND);
  CapsemProcess process(command_line("echo second"), {0, log->get(), 2});
  EXPECT_EQ(process.wait(), 0);
  EXPECT_EQ(read_file(directory / "log", 100).value(), "first\nsecond\n");
}

TEST(RelayedFiles, AClosedStandardOutputIsAnErrorOnlyWhenItIsWrittenTo) {
  auto err = make_pipe();
  CapsemProcess silent(command_line("exit 4"), {0, -1, err->second.get()});
  EXPECT_EQ(silent.wait(), 4);
  CapsemProcess loud(command_line("echo text"), {0, -1, err->second.get()});
  EXPECT_EQ(loud.wait(), 125);
  err->second.reset();
  EXPECT_EQ(read_all(err->first.get()),
            "capsem: cannot write standard output: Bad file descriptor\n");
}

}  // namespace
}  // namespace capsem::client
