// One client's conversation in the Model Context Protocol, over JSON-RPC 2.0: text in, text out.
// https://modelcontextprotocol.io/specification/2025-06-18
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

namespace capsem::guest::mcp_server {

// A longer line is answered with an error and not looked at.
inline constexpr std::size_t kMaxMessageBytes = 1 << 20;

class Session {
 public:
  // Takes one line, without its end, and returns the line to answer with; nothing where the
  // protocol wants silence (notifications, responses, empty lines).
  std::optional<std::string> handle(std::string_view line);

  // The answer to a line of more than kMaxMessageBytes.
  static std::string too_long();

 private:
  // The revision agreed on by "initialize"; empty before.
  std::string_view version_;
};

}  // namespace capsem::guest::mcp_server
