#include "host/net/secret_eraser.h"

#include <gtest/gtest.h>

#include <string>

namespace capsem::host::net {
namespace {

// What comes of `text` when it arrives in pieces of `size` bytes.
std::string in_pieces(SecretEraser& eraser, std::string_view text, std::size_t size) {
  std::string out;
  for (std::size_t at = 0; at < text.size(); at += size) out += eraser.next(text.substr(at, size));
  out += eraser.end();
  return out;
}

TEST(SecretEraser, FindsASecretHoweverTheTextIsCut) {
  const std::string text = "a=s3cr3t-s3cr3t-key&b=s3cr3t-key, s3cr3t-ke";
  for (std::size_t size = 1; size <= text.size(); ++size) {
    SecretEraser eraser;
    eraser.add("s3cr3t-key", "placeholder-of-it");
    const auto out = in_pieces(eraser, text, size);
    EXPECT_EQ(out.size(), text.size()) << size;
    EXPECT_FALSE(out.contains("cr3t-key")) << size << ": " << out;
    EXPECT_TRUE(out.ends_with(", s3cr3t-ke")) << size << ": " << out;
    if (size == text.size()) {
      EXPECT_EQ(out, "a=s3cr3t-placeholde&b=placeholde, s3cr3t-ke") << size;
    }
  }
}

TEST(SecretEraser, TakesOutTheRestOfASecretWhoseFirstLettersWereLetGo) {
  SecretEraser eraser;
  eraser.add("sk-secret", "capsem-sk");
  EXPECT_EQ(eraser.next("key sk-"), "key sk-");
  EXPECT_EQ(eraser.next("sec"), "");
  EXPECT_EQ(eraser.next("ret!"), "sem-sk!");
  EXPECT_EQ(eraser.end(), "");
}

TEST(SecretEraser, TakesTheLongerOneFirst) {
  SecretEraser eraser;
  eraser.add("sk-abcdefgh", "1");
  eraser.add("sk-abcdefgh-prod", "2");
  EXPECT_EQ(eraser.erased("<sk-abcdefgh-prod>"), "<2***************>");
}

TEST(SecretEraser, KeepsTheLength) {
  SecretEraser eraser;
  eraser.add("a-long-secret", "short");
  EXPECT_EQ(in_pieces(eraser, "<a-long-secret>", 100), "<short********>");
}

TEST(SecretEraser, HoldsBackNoMoreThanWhatMayBeASecret) {
  SecretEraser eraser;
  eraser.add("secret-1", "x");
  EXPECT_EQ(eraser.next("data: secr"), "data: ");
  EXPECT_EQ(eraser.next("ow\n\n"), "secrow\n\n");
  // A message whose last letters are a secret's first by chance is not kept from its reader.
  EXPECT_EQ(eraser.next("yes"), "yes");
  EXPECT_EQ(eraser.next("no begin of it"), "no begin of it");
}

TEST(SecretEraser, ErasesSeveralAndAWholeText) {
  SecretEraser eraser;
  eraser.add("first-secret", "1st");
  eraser.add("second-secret", "2nd");
  EXPECT_EQ(in_pieces(eraser, "first-secretsecond-secret", 6), "1st*********2nd**********");
  EXPECT_EQ(eraser.erased("Location: /?k=first-secret"), "Location: /?k=1st*********");
}

}  // namespace
}  // namespace capsem::host::net
