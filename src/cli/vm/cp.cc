// capsem cp SOURCE TARGET
#include <fcntl.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "base/log.h"
#include "base/progress.h"
#include "base/text.h"
#include "cli/command.h"
#include "client/connection.h"
#include "client/copy.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

constexpr const char* kFooter =
    "One of the two is NAME:PATH, in the running VM NAME, where a path without '/' before it lies\n"
    "below /root; the other one is on the host, or '-' for a tar archive on standard input, whose\n"
    "members go into the directory PATH, or on standard output.\n"
    "What is copied to a directory that is there goes into it; else it becomes TARGET. SOURCE "
    "with\n"
    "'/.' behind it is what the directory holds. Modes, times, links and holes are kept; in the\n"
    "guest all belongs to root, but what came as an archive, on the host to you.";

struct Options {
  std::string source;
  std::string target;
};

struct Copy {
  std::string name;  // of the VM
  client::CopyPaths paths;
  bool is_in = false;
};

// "NAME:PATH" in two parts; nothing for a path of the host, in which a '/' comes before any ':'.
std::optional<std::pair<std::string, std::string>> guest_path(const std::string& text) {
  auto colon = text.find(':');
  if (colon == std::string::npos || colon == 0 || text.find('/') < colon) return std::nullopt;
  return std::pair(text.substr(0, colon), text.substr(colon + 1));
}

Result<Copy> parse(const Options& options) {
  auto source = guest_path(options.source);
  auto target = guest_path(options.target);
  if (source.has_value() == target.has_value())
    return fail("copy", "'" + options.source + "'",
                source ? "both ends are in a VM" : "neither end is in a VM",
                "write one of them as NAME:PATH, and a file of the host with a ':' as ./FILE",
                ErrorKind::kInvalid);
  auto& [name, path] = source ? *source : *target;
  if (path.empty()) path = ".";
  return Copy{.name = name,
              .paths = {.host = source ? options.target : options.source, .guest = path},
              .is_in = target.has_value()};
}

Result<Fd> open_copy(const client::Registry& registry, const std::string& name) {
  auto socket = registry.connect(name);
  if (!socket) return propagate(socket);
  boost::asio::io_context loop(1);
  auto connection = client::Connection::create(loop.get_executor(), std::move(*socket));
  if (!connection) return propagate(connection);
  std::optional<client::Refusal> refusal;
  std::optional<Result<Fd>> opened;
  boost::asio::co_spawn(loop, connection->open(api::Route::kCopies, refusal),
                        [&](const std::exception_ptr& thrown, Result<Fd> value) {
                          if (thrown) std::rethrow_exception(thrown);
                          opened = std::move(value);
                        });
  loop.run();
  return std::move(*opened);
}

Result<std::uint64_t> copy(const Options& options, const Signals& signals) {
  auto wanted = parse(options);
  if (!wanted) return propagate(wanted);
  if (!wanted->is_in && wanted->paths.host == "-" && ::isatty(STDOUT_FILENO) == 1)
    return fail("write", "the archive", "standard output is a terminal",
                "send it to a file or to tar", ErrorKind::kInvalid);
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  // Until the VM has answered, signals have their own effect: nothing is under way.
  auto socket = open_copy(*registry, wanted->name);
  for (const auto& note : registry->take_notes()) say(note);
  if (!socket) return propagate(socket);
  auto held = signals.hold();
  if (!held) return propagate(held);
  client::CopyLink link(std::move(*socket), *held);
  Progress progress("copying " + printable(options.source));
  auto on_copied = [&](std::uint64_t done, std::uint64_t total) {
    progress.update(total == 0 ? done : std::min(done, total), total);
  };
  return wanted->is_in ? client::copy_in(link, wanted->paths, on_copied)
                       : client::copy_out(link, wanted->paths, on_copied);
}

int run(const Options& options, const Signals& signals) {
  auto left_out = copy(options, signals);
  if (!left_out) return report(left_out.error());
  if (*left_out > 0)
    warn(std::to_string(*left_out) +
         (*left_out == 1 ? " item was left out: it is" : " items were left out: they are") +
         " no file, directory or link");
  return kSuccess;
}

}  // namespace

void add_cp(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("cp", "Copy files into a running VM, or out of it");
  command->footer(kFooter);
  command->add_option("SOURCE", options->source)->required()->option_text(" ");
  command->add_option("TARGET", options->target)->required()->option_text(" ");
  command->callback([&action, options, &signals] {
    action = [options, &signals] { return run(*options, signals); };
  });
}

}  // namespace capsem::cli
