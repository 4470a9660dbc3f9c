// The agent's end of a connection, where a peer alone cannot bring it about.
#include "guest/pty-agent/connection.h"

#include <gtest/gtest.h>

#include "tests/base/failing_poll.h"
#include "tests/base/in_child.h"

namespace capsem::guest::pty_agent {
namespace {

using std::chrono::milliseconds;

// What becomes of waiting for a message that does not come, in a child that `change` prepares.
int wait_in_child(const std::function<void()>& change) {
  return testing::in_child([&] {
    auto pair = socket_pair();
    if (!pair) return 100;
    auto connection = Connection::open(std::move(pair->first));
    if (!connection) return 101;
    change();
    auto message = connection->wait_for_message(Connection::Clock::now() + milliseconds(300));
    return message ? 102 : static_cast<int>(message.error().kind());
  });
}

TEST(AgentConnection, AWaitThatFailsIsNoTimeoutAndOneInterruptedGoesOn) {
  EXPECT_EQ(wait_in_child([] { testing::interrupt_often(); }),
            static_cast<int>(ErrorKind::kTimeout));
  EXPECT_EQ(wait_in_child([] { testing::allow_descriptors(0); }),
            static_cast<int>(Error::system("wait for", "it", EINVAL).kind()));
}

}  // namespace
}  // namespace capsem::guest::pty_agent
