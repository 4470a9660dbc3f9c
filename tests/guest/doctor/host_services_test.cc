#include "guest/doctor/host_services.h"

#include <gtest/gtest.h>

#include <cerrno>

namespace capsem::guest::doctor {
namespace {

TEST(HostServices, AreThoseOfThePortsInTheirOrder) {
  auto services = host_services();
  ASSERT_EQ(services.size(), wire::kPorts.size());
  for (std::size_t i = 0; i < services.size(); ++i) {
    EXPECT_EQ(services[i].port.number, wire::kPorts[i].number);
    EXPECT_EQ(services[i].answer == Answer::kToGuest,
              services[i].port.connector == wire::Connector::kHost);
  }
}

TEST(HostServices, BeginWithTheirPort) {
  Guest guest;
  for (const auto& service : host_services())
    EXPECT_EQ(service_items(service, guest).at(0).name,
              "port " + std::to_string(service.port.number));
}

struct Case {
  Answer answer;
  int error;
  Verdict verdict;
};

TEST(JudgePort, WantsTheAnswerThatIsDocumented) {
  for (const auto& row :
       {Case{Answer::kHeld, ECONNRESET, Verdict::kPass}, Case{Answer::kHeld, 0, Verdict::kFail},
        Case{Answer::kToGuest, ECONNREFUSED, Verdict::kPass},
        Case{Answer::kToGuest, 0, Verdict::kFail},
        Case{Answer::kToRoot, ECONNRESET, Verdict::kPass}, Case{Answer::kToRoot, 0, Verdict::kFail},
        Case{Answer::kAccepts, 0, Verdict::kPass},
        Case{Answer::kAccepts, ECONNRESET, Verdict::kFail},
        Case{Answer::kAbsent, ECONNRESET, Verdict::kAbsent},
        Case{Answer::kAbsent, 0, Verdict::kFail}, Case{Answer::kAbsent, ETIMEDOUT, Verdict::kFail},
        Case{Answer::kHeld, ENODEV, Verdict::kFail}})
    EXPECT_EQ(judge_port(row.answer, row.error).verdict, row.verdict)
        << static_cast<int>(row.answer) << " " << row.error;
}

}  // namespace
}  // namespace capsem::guest::doctor
