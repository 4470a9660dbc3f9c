#include "cli/asker.h"

#include <filesystem>
#include <optional>
#include <utility>

#include "base/file.h"
#include "base/text.h"
#include "base/user_directories.h"
#include "cli/policy/policy_options.h"
#include "client/registry.h"
#include "host/net/policy_text.h"

namespace capsem::cli {
namespace {

constexpr char kDeny = 'n';
constexpr char kAlways = 'a';
constexpr char kNothingMore = 'q';

std::string text_of(const api::Question& question) {
  auto who = question.executable.empty() ? "a program" : printable(question.executable);
  return "\r\ncapsem: " + who + " asks for " + printable(question.what) +
         ", which no rule is for\r\ncapsem: y allows it while this VM runs, n denies it, a allows "
         "it always, q asks nothing more: ";
}

std::string line(std::string_view text) {
  return printable(text) + "\r\n";
}

Result<std::string> with_rule(std::string text, const std::string& rule, const std::string& file) {
  if (!text.empty()) text += text.ends_with('\n') ? "\n" : "\n\n";
  text += rule;
  auto read = host::net::read_policy(text, file);
  if (!read) return propagate(read);
  return text;
}

Result<std::string> keep_for_user(const std::string& rule) {
  constexpr unsigned kOwnersOnly = 0700;
  auto directory = config_directory();
  if (!directory) return propagate(directory);
  if (auto made = make_directories(*directory, kOwnersOnly); !made) return propagate(made);
  std::filesystem::path file = *directory / kUserPolicyFile;
  // A link stays one.
  std::error_code none;
  if (auto target = std::filesystem::canonical(file, none); !none) file = target;
  auto text = read_file(file, host::net::kPolicyTextLimitBytes);
  if (!text && text.error().kind() != ErrorKind::kNotFound) return propagate(text);
  auto changed = with_rule(text.value_or(""), rule, file);
  if (!changed) return propagate(changed);
  if (auto written = write_file_atomically(file, *changed); !written) return propagate(written);
  return file.string();
}

}  // namespace

Result<std::string> keep_rule(const std::string& vm, const std::string& rule) {
  if (vm.empty()) return keep_for_user(rule);
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  auto before = registry->policy(vm);
  if (!before) return propagate(before);
  auto changed = with_rule(std::move(*before), rule, "the policy of VM '" + vm + "'");
  if (!changed) return propagate(changed);
  if (auto written = registry->set_policy(vm, *changed); !written) return propagate(written);
  return "the policy of VM '" + vm + "'";
}

Task<> Asker::listen() {
  auto connection = connect_();
  if (!connection) co_return;
  auto on_question = [this](const api::Question& question) {
    asked_ = question;
    changed_.notify();
  };
  // A monitor that goes away is noticed by the session.
  [[maybe_unused]] auto followed = co_await connection->follow_questions(on_question);
  asked_ = {};
  changed_.notify();
}

Task<> Asker::run() {
  for (;;) {
    if (asked_.id == 0) {
      bool goes_on = co_await changed_.wait();
      if (!goes_on) co_return;
      continue;
    }
    const auto question = asked_;
    std::optional<char> key;
    if (denies_all_)
      key = kDeny;
    else
      prompt_.ask(text_of(question));
    while (!key && asked_.id == question.id) {
      bool goes_on = co_await changed_.wait();
      if (!goes_on) co_return;
      key = prompt_.take_answer();
    }
    if (!key) {
      prompt_.end(line("it is not asked any more, and denied"));
      continue;
    }
    if (key == kNothingMore) denies_all_ = true;
    auto done = co_await answer(question, *key);
    prompt_.end(std::move(done));
    // The monitor tells when it has heard the answer.
    while (asked_.id == question.id) {
      bool goes_on = co_await changed_.wait();
      if (!goes_on) co_return;
    }
  }
}

Task<std::string> Asker::answer(api::Question question, char key) {
  std::string kept;
  if (key == kAlways) {
    auto file = keep_(question.rule);
    kept = file ? "; the rule is in " + *file : "; no rule was written: " + file.error().message();
  }
  auto connection = connect_();
  if (!connection) co_return line(connection.error().message());
  bool allowed = key != kDeny && key != kNothingMore;
  auto answered = co_await connection->answer({.id = question.id, .allowed = allowed});
  auto word = std::string(1, key) + ": ";
  if (!answered) co_return line(word + answered.error().message() + kept);
  if (key == kNothingMore) co_return line(word + "denied, as is all that no rule decides");
  co_return line(word + (allowed ? "allowed" : "denied") + kept);
}

}  // namespace capsem::cli
