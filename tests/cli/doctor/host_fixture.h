// A machine made by hand: a checkout with all that capsem needs, to be broken by tests.
#pragma once

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <string>

#include "assets/inputs.h"
#include "base/file.h"
#include "cli/doctor/host_check.h"
#include "manifest/parse.h"
#include "tests/assets/asset_set.h"
#include "tests/temporary_directory.h"

namespace capsem::cli {

inline void put(const std::filesystem::path& path, std::string_view content, unsigned mode = 0644) {
  ASSERT_TRUE(make_directories(path.parent_path()));
  ASSERT_TRUE(write_file_atomically(path, content, mode));
}

inline Result<std::uint64_t> much_space(const std::filesystem::path&) {
  return std::uint64_t{1} << 40;
}

class HostFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    put(layout_.guest_toml, R"(version = 1
[[entry]]
name = "init"
build = "init"
path = "/init"
mode = "0755"
into = ["initrd"]
[[entry]]
name = "tool"
build = "tool"
path = "/capsem/bin/tool"
mode = "0555"
into = ["initrd", "rootfs"]
)");
    for (const char* list : {"packages.list", "modules.boot", "modules.rootfs"})
      put(layout_.config / list, "one\n");
    put(layout_.config / "rootfs/etc/hostname", "capsem\n");
    for (const char* program : {"init", "tool"})
      put(layout_.sources.programs / program, "#!/bin/sh\n");
    put(layout_.build / "build.ninja", "build guest: phony\n");
    qemu("echo 'QEMU emulator version 7.2.22 (Debian 1:7.2+dfsg-7)'");
    ASSERT_TRUE(make_directories(layout_.cache, 0700));
    publish_assets();
  }

  // The assets, as a build from the inputs of this moment leaves them.
  void publish_assets() {
    capsem::testing::stage(layout_.assets, capsem::testing::small_set("kernel"));
    auto index_file = layout_.assets / ".building" / assets::kIndexName;
    auto index = assets::decode_index(read_file(index_file, 1 << 20).value(), index_file).value();
    index.inputs = assets::collect_inputs({.config = layout_.config,
                                           .manifest = manifest::load(layout_.guest_toml).value(),
                                           .sources = layout_.sources})
                       .value();
    ASSERT_TRUE(write_file_atomically(index_file, assets::encode_index(index)));
    ASSERT_TRUE(assets::publish(layout_.assets));
  }

  void qemu(const std::string& script) {
    put(directory_ / "qemu", "#!/bin/sh\n" + script + "\n", 0755);
  }

  Host host() const {
    vm::AcceleratorQuery query;
    query.cache_directory = layout_.cache;
    query.kvm_device = directory_ / "kvm";
    query.remember = false;
    query.probe.program = directory_ / "qemu";
    query.probe.limit = std::chrono::seconds(20);
    return {.layout = layout_,
            .manifest = manifest::load(layout_.guest_toml),
            .accelerator = std::move(query),
            .temporary = directory_.path(),
            .available_bytes = available_bytes_,
            .deep = deep_};
  }

  // What the check called `name` sees.
  Observation look(std::string_view name) const {
    for (const auto& check : host_checks())
      if (check.name == name) return check.look(host());
    ADD_FAILURE() << "there is no check " << name;
    return {};
  }

  void expect(std::string_view name, Health health, const std::string& seen,
              const std::string& advice = "") const {
    auto observation = look(name);
    EXPECT_EQ(observation.health, health) << observation.seen;
    EXPECT_THAT(observation.seen, ::testing::HasSubstr(seen));
    EXPECT_THAT(observation.advice, ::testing::HasSubstr(advice));
    EXPECT_EQ(observation.advice.empty(), health == Health::kOk) << observation.advice;
  }

  capsem::testing::TemporaryDirectory directory_;
  prepare::Layout layout_{
      .checkout = true,
      .build = directory_ / "build",
      .guest_toml = directory_ / "source/guest.toml",
      .config = directory_ / "source/guest/config",
      .sources = {.root = directory_ / "source", .programs = directory_ / "build/guest"},
      .assets = directory_ / "source/assets/x86_64",
      .image = directory_ / "source/assets/x86_64/initrd.img",
      .cache = directory_ / "cache"};
  Result<std::uint64_t> (*available_bytes_)(const std::filesystem::path&) = much_space;
  bool deep_ = false;
};

}  // namespace capsem::cli
