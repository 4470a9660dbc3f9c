#include "host/net/http2_session.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>
#include <vector>

#include "base/fd.h"
#include "tests/host/net/http2_text.h"

namespace capsem::host::net {
namespace {

struct Listener : Http2Handler {
  void head(std::int32_t /*stream*/, Http2Block /*block*/, bool /*ends*/) override {}
  void data(std::int32_t /*stream*/, std::string_view /*piece*/) override {}
  void end(std::int32_t /*stream*/) override {}
  void closed(std::int32_t /*stream*/, Http2Error /*error*/) override { ++closings; }
  void taken(std::int32_t /*stream*/, std::size_t /*size*/) override {}
  void sent_all(std::int32_t /*stream*/) override {}
  void settings() override {}
  void goaway() override {}
  int closings = 0;
};

// What a session has to say at once.
std::string filled(Http2Session& session) {
  std::vector<std::byte> bytes;
  EXPECT_TRUE(session.fill(bytes));
  return std::string(as_text(bytes));
}

// A client of a server whose windows are wide, with a request of 200,000 bytes of which a part is
// said, and a frame more is made.
struct Upload {
  Upload() {
    Http2Limits wide;
    wide.stream_window = 1 << 20;
    wide.connection_window = 4 << 20;
    session = Http2Session::make(Http2Session::Role::kClient, Http2Limits(), listener).value();
    auto server = Http2Session::make(Http2Session::Role::kServer, wide, other).value();
    for (int i = 0; i < 2; ++i) {
      EXPECT_TRUE(server->receive(as_bytes(filled(*session))));
      EXPECT_TRUE(session->receive(as_bytes(filled(*server))));
    }
    body->add(std::string(200'000, 'c'));
    const Http2Fields fields{.all = {{":method", "POST"},
                                     {":scheme", "https"},
                                     {":authority", "a.example"},
                                     {":path", "/"}},
                             .never_indexed = {}};
    stream = session->send_request(fields, body).value();
    EXPECT_GE(filled(*session).size(), Http2Session::kFillBytes);
  }

  Listener listener;
  Listener other;
  std::unique_ptr<Http2Session> session;
  Http2Session::Body body = std::make_shared<Http2Outgoing>();
  std::int32_t stream = 0;
};

TEST(Http2Session, NothingIsSentInPlaceOfABodyThatWasDropped) {
  Upload upload;
  upload.body->drop();
  upload.session->reset(upload.stream, Http2Error::kCancel);
  bool reset = false;
  for (const auto& each : testing::frames_of(filled(*upload.session))) {
    EXPECT_NE(each.type, NGHTTP2_DATA);
    reset |= each.type == NGHTTP2_RST_STREAM;
  }
  EXPECT_TRUE(reset);
  EXPECT_EQ(upload.body->size(), 0U);
}

TEST(Http2Session, ABodyLivesAsLongAsItsStream) {
  Upload upload;
  std::weak_ptr<Http2Outgoing> body = upload.body;
  upload.body.reset();
  EXPECT_FALSE(body.expired());
  EXPECT_GE(filled(*upload.session).size(), Http2Session::kFillBytes);
  upload.session->reset(upload.stream, Http2Error::kCancel);
  filled(*upload.session);
  EXPECT_EQ(upload.listener.closings, 1);
  EXPECT_TRUE(body.expired());
}

}  // namespace
}  // namespace capsem::host::net
