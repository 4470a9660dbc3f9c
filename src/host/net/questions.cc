#include "host/net/questions.h"

#include <algorithm>
#include <utility>

namespace capsem::host::net {
namespace {

// A name is asked for on behalf of HTTP and HTTPS, as is a rule without a port.
constexpr std::uint16_t kHttps = 443;

std::string host_of(const Question& question) {
  return question.host.empty() ? question.flow.address.to_string() : question.host;
}

// Requests of one host and port are one question.
std::string key_of(const Question& question) {
  return host_of(question) + " " + std::to_string(question.flow.port);
}

std::string key_of_name(const std::string& name) {
  return name;
}

}  // namespace

// One that waits for an answer, however it comes to an end.
class Questions::Waiting {
 public:
  Waiting(Questions& questions, std::shared_ptr<Held> held)
      : questions_(questions), held_(std::move(held)) {
    ++questions_.waiting_;
    ++held_->waiting;
  }
  Waiting(const Waiting&) = delete;
  Waiting& operator=(const Waiting&) = delete;
  ~Waiting() {
    --questions_.waiting_;
    if (--held_->waiting == 0) questions_.end(held_, false);
  }

 private:
  Questions& questions_;
  std::shared_ptr<Held> held_;
};

Task<bool> Questions::ask(Question question) {
  auto key = key_of(question);
  // Who denied the name has denied what it leads to.
  if (denied_.contains(key_of_name(question.host))) co_return false;
  co_return co_await hold(std::move(key), std::move(question), false);
}

Task<bool> Questions::ask_name(const std::string& name) {
  Question question{
      .host = name, .flow = {.address = {}, .port = kHttps, .process = {}}, .request = {}};
  auto key = key_of_name(name);
  co_return co_await hold(std::move(key), std::move(question), true);
}

Task<bool> Questions::hold(std::string key, Question question, bool of_name) {
  if (listeners_ == 0 || waiting_ == kMaxHeld || denied_.size() == kMaxDenied) co_return false;
  if (denied_.contains(key) || is_quiet(key)) co_return false;
  auto held = find(key);
  if (!held) {
    held = std::make_shared<Held>(
        executor_, Asked{.id = ++last_id_, .question = std::move(question), .of_name = of_name});
    held->key = std::move(key);
    held->end = Clock::now() + limit_;
    held_.push_back(held);
    tell_change();
  }
  const Waiting waiting(*this, held);
  auto left = std::chrono::ceil<std::chrono::milliseconds>(held->end - Clock::now());
  bool decided = co_await held->decided.wait(std::max(left, std::chrono::milliseconds(0)));
  if (!decided) {
    unanswered_[held->key] = Clock::now() + quiet_;
    end(held, false);
  }
  co_return held->allowed;
}

bool Questions::is_quiet(const std::string& key) {
  const auto now = Clock::now();
  std::erase_if(unanswered_, [&](const auto& row) { return row.second <= now; });
  return unanswered_.contains(key);
}

std::shared_ptr<Questions::Held> Questions::find(const std::string& key) const {
  for (const auto& held : held_)
    if (held->key == key) return held;
  return nullptr;
}

void Questions::end(const std::shared_ptr<Held>& held, bool allowed) {
  if (std::erase(held_, held) == 0) return;
  held->allowed = allowed;
  held->decided.set();
  tell_change();
}

bool Questions::answer(std::uint64_t id, bool allowed) {
  auto found = std::ranges::find_if(held_, [&](const auto& held) { return held->id == id; });
  if (found == held_.end()) return false;
  auto held = *found;
  if (!allowed) denied_.insert(held->key);
  end(held, allowed);
  return true;
}

const Questions::Asked* Questions::current() const {
  return held_.empty() ? nullptr : held_.front().get();
}

void Questions::tell_change() {
  ++change_;
  std::exchange(changed_, async::Latch(executor_)).set();
}

Task<> Questions::other_than(std::uint64_t change) {
  while (change_ == change) {
    auto changed = changed_;
    co_await changed.wait();
  }
}

Questions::Listener::~Listener() {
  if (--questions_.listeners_ > 0) return;
  auto all = questions_.held_;
  for (const auto& held : all) questions_.end(held, false);
}

}  // namespace capsem::host::net
