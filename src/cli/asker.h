// capsem run --ask: what the network of the VM asks, put to the person at the session's terminal.
#pragma once

#include <functional>
#include <string>

#include "api/types.h"
#include "async/event.h"
#include "async/task.h"
#include "base/error.h"
#include "client/connection.h"
#include "client/prompt.h"

namespace capsem::cli {

class Asker {
 public:
  // Another connection to the VM's monitor.
  using Connect = std::function<Result<client::Connection>()>;
  // Keeps a rule, for good: where, in words.
  using Keep = std::function<Result<std::string>(const std::string& rule)>;

  Asker(Connect connect, Keep keep) : connect_(std::move(connect)), keep_(std::move(keep)) {}

  client::Prompt& prompt() { return prompt_; }

  // Both until they are cancelled, or until the monitor is gone. Hears what is asked;
  Task<> listen();
  // and asks, one question after the other.
  Task<> run();

 private:
  Task<std::string> answer(api::Question question, char key);

  Connect connect_;
  Keep keep_;
  api::Question asked_;  // by the monitor, now
  async::Event changed_;
  bool denies_all_ = false;  // the person wants to be asked nothing more
  client::Prompt prompt_{"ynaq", [this] { changed_.notify(); }};
};

// Puts a rule of the network behind those of a VM with a name, or, where the name is empty, of the
// user. Returns the file.
Result<std::string> keep_rule(const std::string& vm, const std::string& rule);

}  // namespace capsem::cli
