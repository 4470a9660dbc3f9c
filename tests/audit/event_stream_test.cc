#include "audit/event_stream.h"

#include <gmock/gmock.h>

#include <string>
#include <vector>

namespace capsem::audit {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

// The data of each event that ends in `text`, which comes in two pieces, cut behind `cut` bytes.
std::vector<std::string> events_of(std::string_view text, std::size_t cut) {
  std::vector<std::string> events;
  std::string data;
  EventStream stream([&](std::string_view piece) { data += piece; },
                     [&] { events.push_back(std::exchange(data, {})); });
  stream.feed(text.substr(0, cut));
  stream.feed(text.substr(cut));
  return events;
}

// The same for every cut.
std::vector<std::string> events_of(std::string_view text) {
  auto events = events_of(text, 0);
  for (std::size_t cut = 1; cut <= text.size(); ++cut)
    EXPECT_EQ(events_of(text, cut), events) << "cut at " << cut;
  return events;
}

TEST(EventStream, AnEventIsItsLinesOfDataUpToAnEmptyLine) {
  EXPECT_THAT(events_of("data: a\ndata: b\n\ndata: c\n\n"), ElementsAre("a\nb", "c"));
}

TEST(EventStream, LinesEndAsTheyLike) {
  EXPECT_THAT(events_of("data: a\rdata: b\r\rdata: c\r\ndata: d\r\n\r\n"),
              ElementsAre("a\nb", "c\nd"));
}

TEST(EventStream, OneSpaceBeforeTheDataIsNoPartOfIt) {
  EXPECT_THAT(events_of("data:a\n\ndata:  b\n\ndata:\n\n"), ElementsAre("a", " b", ""));
}

TEST(EventStream, OtherFieldsAndCommentsAreNoData) {
  EXPECT_THAT(events_of(": data: a\nevent: data\nid: 1\ndatum: b\nxdata: c\n\nretry: 5\n\n"),
              IsEmpty());
}

TEST(EventStream, AnEventThatDoesNotEndIsNone) {
  EXPECT_THAT(events_of("data: a\n\ndata: b\n"), ElementsAre("a"));
}

}  // namespace
}  // namespace capsem::audit
