#include "host/net/questions.h"

#include <gtest/gtest.h>

#include <memory>
#include <optional>
#include <string>
#include <thread>
#include <vector>

#include "tests/async/loop.h"

namespace capsem::host::net {
namespace {

using std::chrono::milliseconds;

constexpr milliseconds kLimit{200};
constexpr milliseconds kQuiet{300};

class QuestionsTest : public ::testing::Test {
 protected:
  struct Asking {
    std::optional<bool> allowed;
  };
  using Pointer = std::shared_ptr<Asking>;

  Pointer ask(const std::string& host, std::uint16_t port = 443, const std::string& path = {}) {
    Question question{
        .host = host, .flow = {.address = {}, .port = port, .process = {}}, .request = {}};
    if (!path.empty()) question.request = {.method = "GET", .path = path};
    return begin(questions.ask(std::move(question)));
  }
  Pointer ask_name(const std::string& name) { return begin(ask_for(name)); }

  std::string shown() const {
    const auto* current = questions.current();
    return current == nullptr ? "" : current->question.host;
  }
  bool answer(bool allowed) {
    bool done = questions.answer(questions.current()->id, allowed);
    loop.poll();
    return done;
  }

  async::Loop loop;
  Questions questions{loop.executor(), kLimit, kQuiet};
  std::optional<Questions::Listener> listener{std::in_place, questions};

 private:
  Pointer begin(Task<bool> task) {
    auto asking = std::make_shared<Asking>();
    loop.spawn(store(std::move(task), asking));
    loop.poll();
    return asking;
  }
  Task<bool> ask_for(std::string name) { co_return co_await questions.ask_name(name); }
  static Task<> store(Task<bool> task, Pointer asking) {
    asking->allowed = co_await std::move(task);
  }
};

TEST_F(QuestionsTest, HoldsAQuestionUntilItsAnswer) {
  for (bool allowed : {true, false}) {
    auto asking = ask("a.example", allowed ? 1 : 2);
    EXPECT_FALSE(asking->allowed);
    EXPECT_EQ(shown(), "a.example");
    EXPECT_TRUE(answer(allowed));
    EXPECT_EQ(asking->allowed, allowed);
    EXPECT_EQ(shown(), "");
  }
}

TEST_F(QuestionsTest, AsksOneAfterTheOther) {
  auto first = ask("a.example");
  auto second = ask("b.example");
  EXPECT_EQ(shown(), "a.example");
  answer(true);
  EXPECT_EQ(shown(), "b.example");
  EXPECT_FALSE(second->allowed);
  answer(false);
  EXPECT_EQ(second->allowed, false);
  EXPECT_EQ(first->allowed, true);
}

TEST_F(QuestionsTest, EqualQuestionsAreOne) {
  std::vector<Pointer> equal;
  equal.push_back(ask("a.example"));
  equal.push_back(ask("a.example", 443, "/one"));
  equal.push_back(ask("a.example", 443, "/two"));
  auto other = ask("a.example", 22);
  answer(true);
  for (const auto& each : equal) EXPECT_EQ(each->allowed, true);
  EXPECT_FALSE(other->allowed);
}

TEST_F(QuestionsTest, WhatWasDeniedIsNotAskedAgain) {
  ask("a.example");
  answer(false);
  EXPECT_EQ(ask("a.example")->allowed, false);
  EXPECT_FALSE(ask("a.example", 22)->allowed);
}

TEST_F(QuestionsTest, WhoDeniesAllIsAskedNothingMoreInTheEnd) {
  for (std::size_t i = 0; i < Questions::kMaxDenied; ++i) {
    ask("n" + std::to_string(i) + ".example");
    answer(false);
  }
  EXPECT_EQ(ask("more.example")->allowed, false);
}

TEST_F(QuestionsTest, ADeniedNameIsDeniedOnEachPort) {
  ask_name("a.example");
  answer(false);
  EXPECT_EQ(ask_name("a.example")->allowed, false);
  EXPECT_EQ(ask("a.example", 22)->allowed, false);
  EXPECT_FALSE(ask_name("b.example")->allowed);
}

TEST_F(QuestionsTest, WhatNobodyAnswersIsDeniedAndAskedAgain) {
  auto first = ask("a.example");
  loop.context().restart();
  loop.context().run_for(kLimit / 2);
  auto later = ask("a.example");
  EXPECT_FALSE(first->allowed);
  loop.run(std::chrono::seconds(5));
  EXPECT_EQ(first->allowed, false);
  EXPECT_EQ(later->allowed, false);
  EXPECT_EQ(shown(), "");
  // Its client tries again.
  EXPECT_EQ(ask("a.example")->allowed, false);
  EXPECT_FALSE(ask("b.example")->allowed);
  loop.run(std::chrono::seconds(5));
  std::this_thread::sleep_for(kQuiet);
  EXPECT_FALSE(ask("a.example")->allowed);
  EXPECT_EQ(shown(), "a.example");
}

TEST_F(QuestionsTest, WithoutAListenerAllIsDenied) {
  auto held = ask("a.example");
  auto behind = ask("b.example");
  listener.reset();
  loop.poll();
  EXPECT_EQ(held->allowed, false);
  EXPECT_EQ(behind->allowed, false);
  EXPECT_EQ(ask("c.example")->allowed, false);
  listener.emplace(questions);
  EXPECT_FALSE(ask("a.example")->allowed);
}

TEST_F(QuestionsTest, OneOfTwoListenersIsEnough) {
  const Questions::Listener second(questions);
  auto held = ask("a.example");
  listener.reset();
  loop.poll();
  EXPECT_FALSE(held->allowed);
  answer(true);
  EXPECT_EQ(held->allowed, true);
}

TEST_F(QuestionsTest, NoMoreAreHeldThanItSays) {
  std::vector<Pointer> held;
  for (std::size_t i = 0; i < Questions::kMaxHeld; ++i)
    held.push_back(ask(i % 2 == 0 ? "a.example" : "b" + std::to_string(i) + ".example"));
  EXPECT_EQ(ask("a.example")->allowed, false);
  EXPECT_EQ(ask("c.example")->allowed, false);
  answer(true);  // half of them
  EXPECT_EQ(held.front()->allowed, true);
  EXPECT_FALSE(ask("c.example")->allowed);
}

TEST_F(QuestionsTest, AnAnswerThatComesLateIsNone) {
  ask("a.example");
  const auto id = questions.current()->id;
  EXPECT_TRUE(questions.answer(id, true));
  EXPECT_FALSE(questions.answer(id, true));
  ask("a.example");
  EXPECT_FALSE(questions.answer(id, true));
}

TEST_F(QuestionsTest, TellsOfEachChange) {
  std::vector<std::string> told;
  auto follow = [](Questions& of, std::vector<std::string>& into) -> Task<> {
    for (int i = 0; i < 3; ++i) {
      const auto change = of.change();
      into.push_back(of.current() == nullptr ? "" : of.current()->question.host);
      co_await of.other_than(change);
    }
  };
  loop.spawn(follow(questions, told));
  loop.poll();
  ask("a.example");
  answer(true);
  ask("b.example");
  EXPECT_EQ(told, (std::vector<std::string>{"", "a.example", ""}));
}

}  // namespace
}  // namespace capsem::host::net
