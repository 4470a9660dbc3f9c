#include "guest/pty-agent/transfer.h"

#include <sys/socket.h>
#include <sys/wait.h>

#include <cerrno>

#include "guest/pty-agent/child.h"
#include "wire/codec.h"

namespace capsem::guest::pty_agent {
namespace {

constexpr const char* kProgram = "/capsem/bin/capsem-transfer";

}  // namespace

void serve_transfer(Fd connection, const Space& space, const SessionGroup* group) {
  auto child = start_program(kProgram, connection, space, group);
  if (!child) return refuse_transfer(connection, child.error().text.c_str());
  // Its own is the last one: it ends the connection.
  connection.reset();
  while (::waitpid(child->pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (group != nullptr) group->kill();
}

void refuse_transfer(const Fd& connection, const char* reason) {
  auto frame = wire::encode(wire::GuestTransfer(wire::TransferFailed{wire::clipped(reason)}));
  if (!frame) return;
  // One short message fits into what any stream takes at once.
  [[maybe_unused]] auto sent =
      ::send(connection.get(), frame->data(), frame->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
}

}  // namespace capsem::guest::pty_agent
