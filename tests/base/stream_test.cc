#include "base/stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <thread>

#include "base/copy.h"
#include "base/file.h"
#include "tests/temporary_directory.h"

namespace capsem {
namespace {

using ::testing::HasSubstr;

// Longer than any buffer of an input, and nowhere the same.
std::string long_text() {
  std::string text;
  for (int i = 0; text.size() < 1'000'000; ++i) text += std::to_string(i) + ' ';
  return text;
}

// All of it, in steps of `step`.
std::string drain(Input& input, std::size_t step) {
  std::string text;
  for (;;) {
    auto ready = input.peek(1);
    EXPECT_TRUE(ready);
    if (!ready || ready->empty()) return text;
    auto piece = ready->first(std::min(step, ready->size()));
    text += as_text(piece);
    input.take(piece.size());
  }
}

struct Streams : ::testing::Test {
  Fd file(const std::string& content) {
    auto path = directory / "file";
    EXPECT_TRUE(write_file_atomically(path, content, 0600));
    return open_file(path, O_RDWR).value();
  }

  capsem::testing::TemporaryDirectory directory;
  std::string text = long_text();
};

TEST_F(Streams, AFileComesWholeInAnySteps) {
  for (std::size_t step : {7UL, 4096UL, 1UL << 20}) {
    auto fd = file(text);
    FileInput input(fd, "file");
    EXPECT_EQ(drain(input, step), text);
    EXPECT_EQ(input.position(), text.size());
  }
}

TEST_F(Streams, PeekShowsWhatIsWantedAcrossTheBuffersEnd) {
  auto fd = file(text);
  FileInput input(fd, "file");
  constexpr std::size_t kWanted = Input::kMaxPeekBytes;
  for (std::size_t at = 0; at + kWanted < text.size(); at += 100'001) {
    ASSERT_EQ(input.skip(at - input.position()), at - input.position());
    auto seen = input.peek(kWanted);
    ASSERT_TRUE(seen);
    ASSERT_GE(seen->size(), kWanted);
    EXPECT_EQ(as_text(seen->first(kWanted)), text.substr(at, kWanted));
  }
}

TEST_F(Streams, SkippingAFileAndAPipeEndsAtTheSamePlace) {
  auto fd = file(text);
  FileInput of_file(fd, "file");
  auto pipe = make_pipe().value();
  std::jthread writer(
      [&, end = std::move(pipe.second)] { EXPECT_TRUE(write_full(end, as_bytes(text), "pipe")); });
  FileInput of_pipe(pipe.first, "pipe");
  for (Input* input : {static_cast<Input*>(&of_file), static_cast<Input*>(&of_pipe)}) {
    EXPECT_EQ(input->skip(700'000), 700'000U);
    EXPECT_EQ(as_text(input->peek(10)->first(10)), text.substr(700'000, 10));
    // Beyond the end there is only the rest.
    EXPECT_EQ(input->skip(1'000'000'000), text.size() - 700'000);
    EXPECT_TRUE(input->peek(1)->empty());
  }
}

TEST_F(Streams, ReadingIsToldWithItsPlaceAndTheSize) {
  auto fd = file(text);
  std::uint64_t last = 0;
  FileInput input(fd, "file", [&](std::uint64_t position, std::uint64_t size) {
    EXPECT_GE(position, last);
    EXPECT_EQ(size, text.size());
    last = position;
  });
  drain(input, 1 << 20);
  EXPECT_EQ(last, text.size());
}

TEST_F(Streams, ARangeComesWholeAndLeavesThePositionAlone) {
  auto fd = file(text);
  std::vector<std::byte> read;
  ASSERT_TRUE(read_range(fd, 1000, 600'000, append_to(read), "file"));
  EXPECT_EQ(as_text(read), text.substr(1000, 600'000));
  EXPECT_EQ(::lseek(fd.get(), 0, SEEK_CUR), 0);
}

TEST_F(Streams, ARangeBeyondTheEndIsAnErrorThatNamesTheFile) {
  auto fd = file("short");
  std::vector<std::byte> read;
  auto result = read_range(fd, 1, 100, append_to(read), "the-name");
  ASSERT_FALSE(result);
  EXPECT_THAT(result.error().message(), HasSubstr("the-name"));
  EXPECT_EQ(result.error().kind(), ErrorKind::kDamaged);
}

TEST_F(Streams, WhatASinkRefusesEndsTheReading) {
  auto fd = file(text);
  int calls = 0;
  auto result = read_range(
      fd, 0, text.size(),
      [&](std::span<const std::byte>) -> Result<> {
        ++calls;
        return fail("take", "it", "no");
      },
      "file");
  EXPECT_FALSE(result);
  EXPECT_EQ(calls, 1);
}

TEST_F(Streams, ARangeIsCopiedBetweenFilesAndIntoAPipe) {
  auto from = file(text);
  auto to = open_file(directory / "copy", O_RDWR | O_CREAT, 0600).value();
  ASSERT_TRUE(write_full(to, as_bytes("head "), "copy"));
  ASSERT_TRUE(copy_range(from, 5, to, 500'000, "copy"));
  EXPECT_EQ(read_file(directory / "copy", 1 << 20), "head " + text.substr(5, 500'000));

  auto pipe = make_pipe().value();
  std::jthread writer([&, end = std::move(pipe.second)] {
    EXPECT_TRUE(copy_range(from, 5, end, 500'000, "pipe"));
  });
  FileInput input(pipe.first, "pipe");
  EXPECT_EQ(drain(input, 1 << 20), text.substr(5, 500'000));
}

TEST_F(Streams, CopyingMoreThanThereIsIsAnError) {
  auto from = file("short");
  auto to = open_file(directory / "copy", O_RDWR | O_CREAT, 0600).value();
  auto copied = copy_range(from, 0, to, 100, "copy");
  ASSERT_FALSE(copied);
  EXPECT_THAT(copied.error().message(), HasSubstr("copy"));
}

}  // namespace
}  // namespace capsem
