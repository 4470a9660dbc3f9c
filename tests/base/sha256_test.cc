#include "base/sha256.h"

#include <gtest/gtest.h>

namespace capsem {
namespace {

TEST(Sha256, MatchesTheStandardsVector) {
  // FIPS 180-4, the message "abc".
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Digest, ParsesOnlyItsOwnForm) {
  auto text = sha256(as_bytes("abc")).hex();
  EXPECT_EQ(Digest::parse(text).value(), sha256(as_bytes("abc")));
  EXPECT_FALSE(Digest::parse(text.substr(1)));
  text[5] = 'X';
  EXPECT_FALSE(Digest::parse(text));
}

}  // namespace
}  // namespace capsem
