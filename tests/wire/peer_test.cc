// Our encoder and decoder against the classes that protoc makes of capsem.proto.
#include <google/protobuf/text_format.h>
#include <gtest/gtest.h>

#include <set>

#include "base/fd.h"
#include "capsem.pb.h"
#include "tests/wire/samples.h"
#include "wire/codec.h"
#include "wire/frame.h"

namespace capsem::wire {
namespace {

template <class Ours, class Generated>
struct Channel {
  using Envelope = Ours;
  using Peer = Generated;
};

template <class Channel>
class Peer : public ::testing::Test {};

using Channels = ::testing::Types<
    Channel<GuestControl, proto::GuestControl>, Channel<HostControl, proto::HostControl>,
    Channel<GuestLifecycle, proto::GuestLifecycle>, Channel<HostLifecycle, proto::HostLifecycle>,
    Channel<GuestNet, proto::GuestNet>, Channel<GuestDns, proto::GuestDns>,
    Channel<HostDns, proto::HostDns>, Channel<GuestSession, proto::GuestSession>,
    Channel<HostSession, proto::HostSession>, Channel<GuestTransfer, proto::GuestTransfer>,
    Channel<HostTransfer, proto::HostTransfer>, Channel<GuestDeploy, proto::GuestDeploy>,
    Channel<HostDeploy, proto::HostDeploy>>;
TYPED_TEST_SUITE(Peer, Channels);

TYPED_TEST(Peer, ReadsWhatWeWrite) {
  for (const auto& sample : samples<typename TypeParam::Envelope>()) {
    auto frame = encode(sample.message);
    ASSERT_TRUE(frame) << frame.error().message();
    typename TypeParam::Peer seen;
    ASSERT_TRUE(seen.ParseFromString(frame->substr(kPrefixBytes))) << sample.text;
    typename TypeParam::Peer meant;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(sample.text, &meant));
    // Unknown fields would show in the text as bare numbers.
    EXPECT_EQ(seen.DebugString(), meant.DebugString());
  }
}

TYPED_TEST(Peer, IsReadByUs) {
  for (const auto& sample : samples<typename TypeParam::Envelope>()) {
    typename TypeParam::Peer sent;
    ASSERT_TRUE(google::protobuf::TextFormat::ParseFromString(sample.text, &sent));
    auto payload = sent.SerializeAsString();
    auto seen = decode<typename TypeParam::Envelope>(as_bytes(payload));
    ASSERT_TRUE(seen) << sample.text << ": " << seen.error().message();
    EXPECT_EQ(*seen, sample.message) << sample.text;
  }
}

TYPED_TEST(Peer, HasASampleAndALimitForEveryKind) {
  const auto& kinds = kKinds<typename TypeParam::Envelope>;
  std::set<std::size_t> sampled;
  for (const auto& sample : samples<typename TypeParam::Envelope>())
    sampled.insert(sample.message.index());
  EXPECT_EQ(sampled.size(), kinds.size());

  const auto* fields = TypeParam::Peer::descriptor();
  ASSERT_EQ(static_cast<std::size_t>(fields->field_count()), kinds.size());
  for (const Kind& kind : kinds) {
    const auto* field = fields->FindFieldByNumber(static_cast<int>(kind.number));
    ASSERT_NE(field, nullptr) << kind.name;
    EXPECT_EQ(field->message_type()->name(), kind.name);
    EXPECT_GT(kind.limit_bytes, 0U);
  }
}

}  // namespace
}  // namespace capsem::wire
