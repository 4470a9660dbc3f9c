// capsem port NAME HOST:GUEST
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/io_context.hpp>
#include <charconv>
#include <exception>
#include <memory>
#include <optional>
#include <string>

#include "async/signal_reader.h"
#include "async/task_group.h"
#include "base/log.h"
#include "cli/command.h"
#include "client/messages.h"
#include "client/port_forward.h"
#include "client/registry.h"

namespace capsem::cli {
namespace {

namespace asio = boost::asio;

constexpr const char* kFooter =
    "HOST is a port number, 127.0.0.1:PORT, [::1]:PORT or the path of a Unix socket; GUEST a TCP\n"
    "port that something in the guest listens at, on its loopback interface. Port 0 of the host "
    "is\n"
    "any free one. Runs until a signal, or the VM's end.";

struct Options {
  std::string name;
  std::string ports;
};

struct Ports {
  std::string host;
  std::uint32_t guest = 0;
};

Result<Ports> parse(const std::string& text) {
  constexpr std::uint32_t kLast = 65535;
  auto colon = text.rfind(':');
  Ports ports;
  const char* end = text.data() + text.size();
  if (colon != std::string::npos && colon > 0) {
    ports.host = text.substr(0, colon);
    auto [rest, error] = std::from_chars(text.data() + colon + 1, end, ports.guest);
    if (error == std::errc() && rest == end && ports.guest > 0 && ports.guest <= kLast)
      return ports;
  }
  return fail("read", "'" + text + "'", "it is not HOST:GUEST with a port of the guest",
              "write as in 'capsem port NAME 8080:80'", ErrorKind::kInvalid);
}

class Runner {
 public:
  Runner(const client::Registry& registry, const std::string& name, client::HostListener& listener,
         async::SignalReader signals, asio::io_context& loop)
      : monitor_(registry, name),
        listener_(listener),
        signals_(std::move(signals)),
        loop_(loop),
        messages_(loop.get_executor(), STDERR_FILENO),
        tasks_(loop.get_executor()) {}

  int run(std::uint32_t port) {
    tasks_.spawn(end_on_signal());
    tasks_.spawn(messages_.run());
    asio::co_spawn(loop_, forward(port), [this](const std::exception_ptr& thrown) {
      if (thrown) std::rethrow_exception(thrown);
      loop_.stop();
    });
    loop_.run();
    [[maybe_unused]] auto printed = print(messages_.rest(), STDERR_FILENO);
    return status_;
  }

 private:
  Task<> end_on_signal() {
    auto number = co_await signals_.next();
    if (!number) co_return;
    status_ = kSignalBase + *number;
    loop_.stop();
  }

  Task<> forward(std::uint32_t port) {
    // What goes wrong again and again is said once.
    std::string last;
    auto report_failure = [&](const Error& error) {
      auto text = error.message();
      if (text != last) messages_.warn(text);
      last = std::move(text);
    };
    auto error = co_await client::forward_port(listener_, monitor_, port, report_failure);
    messages_.say(error.message());
    status_ = kTrouble;
  }

  client::NamedMonitor monitor_;
  client::HostListener& listener_;
  async::SignalReader signals_;
  asio::io_context& loop_;
  client::Messages messages_;
  async::TaskGroup tasks_;
  int status_ = kTrouble;
};

Result<int> forward(const Options& options, const Signals& signals) {
  auto ports = parse(options.ports);
  if (!ports) return propagate(ports);
  auto registry = client::Registry::open();
  if (!registry) return propagate(registry);
  // Before anything listens: whether it runs.
  auto running = registry->connect(options.name);
  for (const auto& note : registry->take_notes()) say(note);
  if (!running) return propagate(running);
  running->reset();
  auto listener = client::HostListener::open(ports->host);
  if (!listener) return propagate(listener);
  asio::io_context loop(1);
  auto held = signals.hold();
  if (!held) return propagate(held);
  auto reader = async::SignalReader::create(loop.get_executor(), std::move(*held));
  if (!reader) return propagate(reader);
  auto printed = print("listening at " + listener->name() + "\n");
  if (!printed) return propagate(printed);
  return Runner(*registry, options.name, *listener, std::move(*reader), loop).run(ports->guest);
}

}  // namespace

void add_port(CLI::App& app, Action& action, const Signals& signals) {
  auto options = std::make_shared<Options>();
  auto* command = app.add_subcommand("port", "Let the host reach a TCP port of a running VM");
  command->footer(kFooter);
  command->add_option("NAME", options->name)->required()->option_text(" ");
  command->add_option("HOST:GUEST", options->ports)->required()->option_text(" ");
  command->callback([&action, options, &signals] {
    action = [options, &signals] {
      auto status = forward(*options, signals);
      return status ? *status : report(status.error());
    };
  });
}

}  // namespace capsem::cli
