// Takes secrets out of a text that comes in pieces, and puts in what the guest knows of them.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace capsem::host::net {

class SecretEraser {
 public:
  // `secret` is not empty. In its place comes `placeholder`, cut or filled with '*' to its length.
  void add(std::string secret, std::string_view placeholder);
  bool empty() const { return rows_.empty(); }

  // What is to be passed on of the text so far, which is valid until the next call. An end that may
  // be the begin of a secret is held back, unless it is of less than kHeldBytes, which come about
  // by chance; what follows them is taken out all the same.
  static constexpr std::size_t kHeldBytes = 4;
  std::string_view next(std::string_view piece);
  // The rest.
  std::string_view end();

  // A whole text without them.
  std::string erased(std::string_view text) const;

 private:
  struct Row {
    std::string secret;
    std::string substitute;
  };
  void erase(std::string& text) const;
  std::size_t begun_at_end(std::string_view text) const;

  std::vector<Row> rows_;
  std::string before_;  // what was passed on last that a secret may begin with
  std::string held_;
  std::string out_;
};

}  // namespace capsem::host::net
