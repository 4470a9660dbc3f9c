// What the writer writes, the reader reads; and nothing that is cut off or damaged passes for
// whole.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include "base/file.h"
#include "base/stream.h"
#include "tar/header.h"
#include "tar/reader.h"
#include "tar/writer.h"

namespace capsem::tar {
namespace {

using ::testing::HasSubstr;

std::string archive_of(const std::vector<Member>& members, const Fd& content) {
  std::vector<std::byte> bytes;
  Writer writer(append_to(bytes));
  for (const auto& member : members) EXPECT_TRUE(writer.add(member, content));
  EXPECT_TRUE(writer.finish());
  return std::string(as_text(bytes));
}

struct Read {
  std::vector<Member> members;
  std::string bodies;
  std::string error;
};

Read read(std::string_view archive) {
  MemoryInput input(as_bytes(archive));
  Reader reader(input, "it");
  Read all;
  for (;;) {
    auto member = reader.next();
    if (!member) all.error = member.error().message();
    if (!member || !*member) return all;
    bool is_file = (*member)->kind == Kind::kFile;
    all.members.push_back(std::move(**member));
    while (is_file) {
      auto piece = reader.body();
      if (!piece) all.error = piece.error().message();
      if (!piece || piece->bytes.empty()) break;
      all.bodies += as_text(piece->bytes);
    }
    if (!all.error.empty()) return all;
  }
}

Fd file_of(const std::string& content) {
  auto file = unnamed_file();
  EXPECT_TRUE(write_full(*file, as_bytes(content), "file"));
  return std::move(*file);
}

const Member kPlain{.path = "a/file",
                    .mode = 04750,
                    .uid = 5,
                    .gid = 3'000'000,
                    .modified = {.tv_sec = 1, .tv_nsec = 5},
                    .size = 5};

TEST(Archive, KeepsEverythingOfAMember) {
  auto content = file_of("0123456789");
  std::vector<Member> members = {
      kPlain,
      {.path = std::string(3000, 'p') + "/",
       .kind = Kind::kDirectory,
       .mode = 01777,
       .modified = {.tv_sec = -3, .tv_nsec = 250'000'000}},
      {.path = "l\xff", .kind = Kind::kSymlink, .link = std::string(200, 'l'), .mode = 0777},
      {.path = "h", .kind = Kind::kHardLink, .link = "a/file"},
      {.path = "s", .size = 1'000'000, .sparse = true, .extents = {{2, 3}, {7, 1}}},
      {.path = "hole", .size = 10'000'000'000, .sparse = true},
  };
  auto all = read(archive_of(members, content));
  EXPECT_EQ(all.error, "");
  EXPECT_EQ(all.bodies, "012342347");
  ASSERT_EQ(all.members.size(), members.size());
  for (std::size_t i = 0; i < members.size(); ++i) {
    const auto& wrote = members[i];
    const auto& seen = all.members[i];
    EXPECT_EQ(seen.path, wrote.path);
    EXPECT_EQ(seen.kind, wrote.kind) << wrote.path;
    EXPECT_EQ(seen.link, wrote.link) << wrote.path;
    EXPECT_EQ(seen.mode, wrote.mode) << wrote.path;
    EXPECT_EQ(seen.uid, wrote.uid) << wrote.path;
    EXPECT_EQ(seen.gid, wrote.gid) << wrote.path;
    EXPECT_EQ(seen.modified.tv_sec, wrote.modified.tv_sec) << wrote.path;
    EXPECT_EQ(seen.modified.tv_nsec, wrote.modified.tv_nsec) << wrote.path;
    EXPECT_EQ(seen.size, wrote.size) << wrote.path;
    EXPECT_EQ(seen.sparse, wrote.sparse) << wrote.path;
    EXPECT_EQ(seen.extents, wrote.extents) << wrote.path;
  }
}

TEST(Archive, CutOffAnywhereItIsAnError) {
  auto content = file_of("0123456789");
  auto archive =
      archive_of({kPlain, {.path = "s", .size = 9, .sparse = true, .extents = {{2, 3}}}}, content);
  // The last block of zeros is one more than is needed.
  for (std::size_t size = 0; size < archive.size() - kBlockBytes; ++size)
    EXPECT_THAT(read(archive.substr(0, size)).error, HasSubstr("not a whole tar archive")) << size;
}

TEST(Archive, AFlippedByteOfAHeaderIsAnError) {
  auto archive = archive_of({{.path = "f", .size = 1}}, file_of("x"));
  for (std::size_t at = 0; at < kBlockBytes; ++at) {
    // What stands behind the checksum's digits and their NUL says nothing.
    if (at == kChecksum.offset + kChecksum.bytes - 1) continue;
    auto damaged = archive;
    damaged[at] = static_cast<char>(damaged[at] + 1);
    EXPECT_NE(read(damaged).error, "") << at;
  }
}

// A member whose pax header holds `records`, with an empty body.
std::string with_records(const std::string& records, std::uint64_t body = 0) {
  auto put = [](const Block& block) { return std::string(as_text(block)); };
  auto text = put(header_block({.path = "x"}, 'x', records.size())) + records;
  text.append(padding(records.size()), '\0');
  text += put(header_block({.path = "f"}, '0', body));
  return text + std::string(body + padding(body) + 2 * kBlockBytes, '\0');
}

TEST(Archive, RefusesWhatAStrangerMayWrite) {
  const std::string sparse = pax_record("GNU.sparse.major", "1");
  for (const auto& records : {
           std::string("5 a\n"),
           std::string("99 path=x\n"),
           std::string("0 path=x\n"),
           std::string("18446744073709551615 path=x\n"),
           pax_record("path", ""),
           pax_record("path", std::string("a\0b", 3)),
           pax_record("path", std::string(5000, 'x')),
           pax_record("size", "-1"),
           pax_record("size", "9223372036854775807"),
           pax_record("size", "10000000000"),
           pax_record("mtime", "now"),
           pax_record("uid", "-5"),
           sparse,
           sparse + pax_record("GNU.sparse.realsize", "99999999999999999999"),
           sparse + pax_record("GNU.sparse.realsize", "5"),  // without a map
           pax_record("GNU.sparse.size", "5"),
       })
    EXPECT_NE(read(with_records(records)).error, "") << records;
  EXPECT_EQ(read(with_records(pax_record("comment", "x"))).error, "");
}

TEST(Archive, RefusesHolesThatDoNotFit) {
  auto archive = [](const std::string& map) {
    auto records = pax_record("GNU.sparse.major", "1") + pax_record("GNU.sparse.realsize", "100");
    auto text = with_records(records, kBlockBytes + 10);
    return text.replace(3 * kBlockBytes, map.size(), map);
  };
  EXPECT_EQ(read(archive("1\n90\n10\n")).error, "");
  for (const char* map : {"1\n91\n10\n", "1\n90\n9\n", "2\n50\n5\n52\n5\n", "2\n50\n5\n40\n5\n",
                          "1\n18446744073709551615\n10\n", "x\n", "1\n0\n", "99999999\n1\n",
                          "111111111111111111111111\n"})
    EXPECT_NE(read(archive(map)).error, "") << map;
}

}  // namespace
}  // namespace capsem::tar
