// A small guest in a directory of its own: two programs of the same content, one of another, and a
// directory of data.
#pragma once

#include <gtest/gtest.h>

#include <algorithm>

#include "base/file.h"
#include "initrd/pack.h"
#include "manifest/parse.h"
#include "tests/temporary_directory.h"

namespace capsem::initrd {

class GuestFixture : public ::testing::Test {
 protected:
  void SetUp() override {
    write("guest.toml", R"(version = 1
[[entry]]
name = "init"
build = "init"
path = "/init"
mode = "0755"
into = ["initrd"]
[[entry]]
name = "one"
build = "one"
path = "/capsem/bin/one"
mode = "0555"
into = ["initrd", "rootfs"]
[[entry]]
name = "two"
build = "two"
path = "/capsem/bin/two"
mode = "0555"
into = ["initrd"]
[[entry]]
name = "fallback"
build = "fallback"
path = "/capsem/bin/fallback"
mode = "0555"
into = ["rootfs"]
[[entry]]
name = "data"
file = "data"
path = "/capsem/data"
mode = "0444"
into = ["initrd"]
)");
    for (std::string name : {"one", "two"}) write("programs/" + name, "#!/bin/sh\necho same\n");
    write("programs/init", "#!/bin/sh\necho init\n");
    write("programs/fallback", "#!/bin/sh\necho fallback\n");
    write("data/b.txt", "b");
    write("data/a/x.txt", std::string(10000, 'x'));
    auto loaded = manifest::load(directory_ / "guest.toml");
    ASSERT_TRUE(loaded) << loaded.error().message();
    manifest_ = std::move(*loaded);
    options_.target = directory_ / "out/initrd.img";
    options_.cache = directory_ / "cache";
  }

  void write(const std::string& name, std::string_view content) {
    auto path = directory_ / name;
    ASSERT_TRUE(make_directories(path.parent_path()));
    ASSERT_TRUE(write_file_atomically(path, content));
  }

  Result<PackResult> pack() {
    return pack_guest(manifest_, {.root = directory_.path(), .programs = directory_ / "programs"},
                      modules_ ? &*modules_ : nullptr, options_);
  }

  std::string image() { return read_file(options_.target, 1 << 24).value(); }

  testing::TemporaryDirectory directory_;
  manifest::Manifest manifest_;
  std::optional<Fd> modules_;
  PackOptions options_;
};

}  // namespace capsem::initrd
