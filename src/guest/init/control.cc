#include "guest/init/control.h"

#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "wire/codec.h"

namespace capsem::guest::init {
namespace {
constexpr const char* kName = "the control connection";
}

Result<Control> Control::greet(Fd socket, const wire::Hello& hello) {
  Control control(std::move(socket));
  if (auto sent = control.send(hello); !sent) return propagate(sent);
  return control;
}

Result<> Control::send(const wire::GuestControl& message) {
  auto frame = wire::encode(message);
  if (!frame) return propagate(frame);
  ssize_t n = ::send(socket_.get(), frame->data(), frame->size(), MSG_DONTWAIT | MSG_NOSIGNAL);
  if (n < 0) return fail_system("send on", kName, errno);
  if (static_cast<std::size_t>(n) != frame->size())
    return fail("send on", kName, "the host does not read", "", ErrorKind::kClosed);
  return {};
}

Result<> Control::receive(const std::function<void(const wire::HostControl&)>& handle) {
  auto buffer = decoder_.prepare();
  ssize_t n = ::recv(socket_.get(), buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return {};
  if (n < 0) return fail_system("receive on", kName, errno);
  if (n == 0) return fail("receive on", kName, "the host closed it", "", ErrorKind::kClosed);
  decoder_.commit(static_cast<std::size_t>(n));
  for (;;) {
    auto message = decoder_.next();
    if (!message) return propagate(message);
    if (!*message) return {};
    handle(**message);
  }
}

}  // namespace capsem::guest::init
