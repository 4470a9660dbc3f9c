#include "base/sha256.h"

#include <gtest/gtest.h>

namespace capsem {
namespace {

TEST(Sha256, MatchesTheStandardsVector) {
  // FIPS 180-4, the message "abc".
  EXPECT_EQ(sha256(as_bytes("abc")).hex(),
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

TEST(Sha256, PiecesHashAsTheWholeDoes) {
  // FIPS 180-4, the message of two blocks.
  Sha256 hash;
  for (const char* piece : {"abcdbcdecdefdefgefghfghig", "", "hijhijkijkljklmklmnlmnomnopnopq"})
    hash.update(as_bytes(piece));
  EXPECT_EQ(hash.finish().hex(),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
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
