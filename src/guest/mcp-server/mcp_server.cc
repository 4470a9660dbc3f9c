#include "guest/mcp-server/mcp_server.h"

#include <unistd.h>

#include <array>
#include <cerrno>
#include <string>

#include "base/log.h"
#include "guest/mcp-server/session.h"

namespace capsem::guest::mcp_server {
namespace {

constexpr std::string_view kHelp =
    "usage: capsem-mcp-server\n"
    "\n"
    "Speaks the Model Context Protocol on stdin and stdout, one JSON-RPC message a line.\n"
    "The VM's host offers no tools, so the list of tools is empty.\n"
    "\n"
    "exit status: 0 at the end of stdin, 1 when stdin or stdout fails, 2 wrong usage\n";

// Cuts what is read into lines, passing over those that are too long.
class Lines {
 public:
  Lines(const Fd& in, const Fd& out) : in_(in), out_(out) {}

  Result<> serve() {
    std::array<char, 16384> piece{};
    for (;;) {
      auto n = ::read(in_.get(), piece.data(), piece.size());
      if (n < 0 && errno == EINTR) continue;
      if (n < 0) return fail_system("read", "standard input", errno);
      if (n == 0) return {};
      if (auto taken = take({piece.data(), static_cast<std::size_t>(n)}); !taken) return taken;
    }
  }

 private:
  Result<> take(std::string_view text) {
    while (!text.empty()) {
      auto end = text.find('\n');
      auto part = text.substr(0, end);
      if (line_.size() + part.size() <= kMaxMessageBytes)
        line_ += part;
      else
        too_long_ = true;
      if (end == std::string_view::npos) return {};
      text.remove_prefix(end + 1);
      if (auto answered = answer(); !answered) return answered;
    }
    return {};
  }

  Result<> answer() {
    std::optional<std::string> reply;
    if (too_long_)
      reply = Session::too_long();
    else
      reply = session_.handle(line_);
    line_.clear();
    too_long_ = false;
    if (!reply) return {};
    return write_full(out_, as_bytes(*reply + "\n"), "standard output");
  }

  const Fd& in_;
  const Fd& out_;
  Session session_;
  std::string line_;
  bool too_long_ = false;
};

}  // namespace

Result<> serve(const Fd& in, const Fd& out) {
  return Lines(in, out).serve();
}

int run(int argc, char** argv) {
  if (argc > 1) {
    std::string_view word = argv[1];
    if (word != "--help" && word != "-h") {
      say("usage: capsem-mcp-server, without arguments (see --help)");
      return 2;
    }
    return print(kHelp) ? 0 : 1;
  }
  Fd in(STDIN_FILENO);
  Fd out(STDOUT_FILENO);
  auto served = serve(in, out);
  in.release();
  out.release();
  if (served) return 0;
  say(served.error().message());
  return 1;
}

}  // namespace capsem::guest::mcp_server
