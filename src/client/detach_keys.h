// The keys by which a user leaves a session on a terminal that goes on without him.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/error.h"

namespace capsem::client {

inline constexpr std::string_view kDetachKeys = "ctrl-p,ctrl-q";

class DetachKeys {
 public:
  // None: nothing that is typed detaches.
  DetachKeys() = default;
  // "ctrl-p,ctrl-q": single characters, and ctrl- with a letter or one of @[\]^_ ; empty for none.
  // kInvalid for anything else.
  static Result<DetachKeys> parse(std::string_view text);

  struct Typed {
    std::string input;    // for the command
    bool detach = false;  // the keys were all typed, one after the other; what came then is dropped
  };
  // The next bytes from the terminal. The first of the keys are held back until the next byte shows
  // whether it goes on with them.
  Typed read(std::string_view bytes);

  // How many bytes are held back.
  std::size_t held() const { return matched_; }

 private:
  std::string keys_;
  std::size_t matched_ = 0;  // of keys_
};

}  // namespace capsem::client
