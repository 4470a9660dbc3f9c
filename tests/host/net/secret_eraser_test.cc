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
    EXPECT_EQ(in_pieces(eraser, text, size), "a=s3cr3t-placeholde&b=placeholde, s3cr3t-ke") << size;
  }
}

TEST(SecretEraser, KeepsTheLength) {
  SecretEraser eraser;
  eraser.add("a-long-secret", "short");
  EXPECT_EQ(in_pieces(eraser, "<a-long-secret>", 100), "<short********>");
}

TEST(SecretEraser, HoldsBackNoMoreThanWhatMayBeASecret) {
  SecretEraser eraser;
  eraser.add("secret-1", "x");
  EXPECT_EQ(eraser.next("data: se"), "data: ");
  EXPECT_EQ(eraser.next("ven\n\n"), "seven\n\n");
  EXPECT_EQ(eraser.next("no begin of it"), "no begin of it");
}

TEST(SecretEraser, ErasesSeveralAndAWholeText) {
  SecretEraser eraser;
  eraser.add("first-secret", "1st");
  eraser.add("second-secret", "2nd");
  EXPECT_EQ(in_pieces(eraser, "first-secretsecond-secret", 3), "1st*********2nd**********");
  EXPECT_EQ(eraser.erased("Location: /?k=first-secret"), "Location: /?k=1st*********");
}

}  // namespace
}  // namespace capsem::host::net
