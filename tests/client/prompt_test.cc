#include "client/prompt.h"

#include <gtest/gtest.h>

#include <thread>

namespace capsem::client {
namespace {

class PromptTest : public ::testing::Test {
 protected:
  void show() {
    prompt.ask("may it?");
    prompt.set_shown(true);
  }
  void notice() { std::this_thread::sleep_for(Prompt::kNoticed); }

  int answers = 0;
  Prompt prompt{"yn", [this] { ++answers; }};
};

TEST_F(PromptTest, AKeyByItselfIsTheAnswer) {
  show();
  notice();
  EXPECT_TRUE(prompt.type("y"));
  EXPECT_EQ(answers, 1);
  EXPECT_EQ(prompt.take_answer(), 'y');
  EXPECT_FALSE(prompt.take_answer());
}

TEST_F(PromptTest, WhatIsTypedBeforeItIsNoticedIsTheSessions) {
  EXPECT_FALSE(prompt.type("y"));
  prompt.ask("may it?");
  EXPECT_FALSE(prompt.type("y"));
  prompt.set_shown(true);
  EXPECT_FALSE(prompt.type("y"));
  EXPECT_FALSE(prompt.take_answer());
}

TEST_F(PromptTest, OtherKeysAndWhatIsPastedAreNoAnswer) {
  show();
  notice();
  for (const auto* typed : {"x", "yy", "yes\r", "\x1b[121u", "\x1b[200~y\x1b[201~", "\r", "Y"})
    EXPECT_TRUE(prompt.type(typed)) << typed;
  EXPECT_FALSE(prompt.take_answer());
  EXPECT_EQ(answers, 0);
}

TEST_F(PromptTest, TheFirstAnswerCounts) {
  show();
  notice();
  EXPECT_TRUE(prompt.type("n"));
  EXPECT_TRUE(prompt.type("y"));
  EXPECT_EQ(prompt.take_answer(), 'n');
}

TEST_F(PromptTest, AnAnswerIsForItsOwnQuestion) {
  show();
  notice();
  prompt.type("y");
  prompt.ask("and this?");
  EXPECT_FALSE(prompt.take_answer());
  EXPECT_FALSE(prompt.type("y"));
  prompt.set_shown(true);
  notice();
  prompt.end("over");
  EXPECT_TRUE(prompt.type("y"));  // it is on the screen still
  EXPECT_FALSE(prompt.take_answer());
}

}  // namespace
}  // namespace capsem::client
