#include "api/json.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "api/vm_record.h"

namespace capsem::api {
namespace {

using ::testing::HasSubstr;

Vm whole_vm() {
  Vm vm;
  vm.state = State::kEnded;
  vm.accelerator = Accelerator{.name = "tcg", .reason = "no /dev/kvm", .fresh = true};
  vm.environment = {{"API_KEY", "capsem-secret-API_KEY"}};
  vm.timeline = {{"accelerator", 1, 2}, {"start QEMU", 2, 5}};
  vm.guest =
      Guest{.steps = {{"modules", 1, 2}},
            .entries = {{.name = "capsem-init", .origin = Origin::kInitrd, .sha256 = Digest{}},
                        {.name = "gone", .origin = Origin::kAbsent, .sha256 = {}}},
            .kernel_release = "6.1",
            .uptime_us = 3,
            .started_us = 5,
            .arrived_us = 9};
  vm.end = End{.kind = EndKind::kFailed,
               .error = Error("boot", "the guest", "it panicked", "look", ErrorKind::kTimeout)};
  return vm;
}

TEST(ApiJson, AVmComesBackAsItWas) {
  auto vm = whole_vm();
  auto back = parse_vm(to_json(vm));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(back->state, vm.state);
  EXPECT_EQ(back->accelerator, vm.accelerator);
  EXPECT_EQ(back->environment, vm.environment);
  EXPECT_EQ(back->timeline, vm.timeline);
  EXPECT_EQ(back->guest, vm.guest);
  EXPECT_EQ(back->end->kind, vm.end->kind);
  EXPECT_EQ(back->end->error->message(), vm.end->error->message());
  EXPECT_EQ(back->end->error->kind(), ErrorKind::kTimeout);
}

TEST(ApiJson, AYoungVmHasLittle) {
  auto back = parse_vm(to_json(Vm{}));
  ASSERT_TRUE(back);
  EXPECT_EQ(back->state, State::kStarting);
  EXPECT_FALSE(back->accelerator || back->guest || back->end);
}

TEST(ApiJson, TheOthersComeBackAsTheyWere) {
  Event event{.sequence = 3, .dropped = 2, .at_us = 7, .kind = EventKind::kService, .text = "x"};
  EXPECT_EQ(*parse_event(to_json(event)), event);
  Start start{.accelerator = "kvm",
              .memory_bytes = 1,
              .cpus = 2,
              .boot_limit_ms = 3,
              .hostname = "h",
              .cache_directory = "/c"};
  EXPECT_EQ(*parse_start(to_json(start)), start);
  start.disk = Disk{.size_bytes = 4, .uuid = "u"};
  EXPECT_EQ(*parse_start(to_json(start)), start);
  auto failure = parse_failure(to_json(Failure{.error = Error("a", "b", "c"), .console = {"l"}}));
  ASSERT_TRUE(failure);
  EXPECT_EQ(failure->error.message(), "cannot a b: c");
  EXPECT_EQ(failure->console, std::vector<std::string>{"l"});
}

TEST(ApiJson, BytesThatAreNoTextDoNotThrow) {
  auto text = to_json(Event{.sequence = 1, .text = "\xff\xfe"});
  EXPECT_THAT(text, HasSubstr("\xEF\xBF\xBD"));
}

TEST(ApiJson, SaysWhichMemberIsWrong) {
  EXPECT_THAT(parse_vm("[]").error().message(), HasSubstr("no JSON object"));
  EXPECT_THAT(parse_vm("{").error().message(), HasSubstr("no JSON object"));
  EXPECT_THAT(parse_vm("{}").error().message(), HasSubstr("state"));
  EXPECT_THAT(parse_vm(R"({"state":"asleep","timeline":[]})").error().message(),
              HasSubstr("not known"));
  EXPECT_THAT(parse_vm(R"({"state":"ended","timeline":[3]})").error().message(),
              HasSubstr("no JSON object"));
  EXPECT_THAT(parse_start(R"({"accelerator":"tcg","memory_bytes":-1})").error().message(),
              HasSubstr("memory_bytes"));
  EXPECT_THAT(
      parse_start(R"({"accelerator":"tcg","memory_bytes":1,"cpus":4294967296})").error().message(),
      HasSubstr("cpus"));
}

TEST(VmRecord, ComesBackAsItWas) {
  VmRecord record{.created_at = 5,
                  .start = {.accelerator = "tcg", .cpus = 3, .hostname = "one"},
                  .state = RecordedState::kFailed,
                  .changed_at = 6,
                  .reason = "QEMU ended",
                  .boot_id = "x"};
  auto back = parse_vm_record(to_json(record));
  ASSERT_TRUE(back) << back.error().message();
  EXPECT_EQ(*back, record);
}

TEST(VmRecord, IsNothingWithoutAllOfItsMembers) {
  EXPECT_FALSE(parse_vm_record("{}"));
  EXPECT_FALSE(parse_vm_record("{\"created_at\": 1, \"start\": {}, \"state\": \"running\"}"));
  EXPECT_FALSE(parse_vm_record(""));
}

}  // namespace
}  // namespace capsem::api
