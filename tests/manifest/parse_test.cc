#include "manifest/parse.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/file.h"
#include "tests/temporary_directory.h"
#include "wire/ports.h"

namespace capsem::manifest {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

constexpr std::string_view kValid = R"(version = 1

[[entry]]
name = "tool"
build = "tool"
path = "/capsem/bin/tool"
mode = "0555"
into = ["initrd", "rootfs"]
service = { listen = 5001, arguments = ["-v"] }
)";

// What every list has to have; behind the rest, so that lines keep their numbers.
constexpr std::string_view kInit = R"(
[[entry]]
name = "init"
build = "init"
path = "/init"
mode = "0755"
into = ["initrd"]
)";

std::string with(std::string_view from, std::string_view to) {
  std::string text(kValid);
  auto at = text.find(from);
  EXPECT_NE(at, std::string::npos) << from;
  return text.replace(at, from.size(), to);
}

std::string error_of(const std::string& text, std::string_view tail = kInit) {
  auto manifest = parse(text + std::string(tail), "guest.toml");
  return manifest ? "accepted" : manifest.error().message();
}

TEST(Parse, ReadsEveryKey) {
  auto manifest = parse(std::string(kValid) + std::string(kInit), "guest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message();
  const auto& entry = manifest->entries.at(0);
  EXPECT_EQ(entry.name, "tool");
  EXPECT_EQ(entry.mode, 0555u);
  EXPECT_TRUE(entry.in_initrd && entry.in_rootfs && !entry.essential);
  EXPECT_EQ(entry.service->listen, std::vector<std::uint32_t>{5001});
  EXPECT_EQ(entry.service->arguments, std::vector<std::string>{"-v"});
  EXPECT_TRUE(entry.service->restart);
}

TEST(Parse, RefusesWithFileLineAndWhatToWrite) {
  struct Case {
    std::string text;
    std::string_view where;
    std::string_view why;
    std::string_view instead;
  };
  for (const auto& c : {
           Case{with("mode", "mod"), ":7:", "'mod' is not known", "name, build, file, path, mode"},
           Case{with("listen", "listn"), ":9:", "'listn' is not known",
                "arguments, capabilities, listen"},
           Case{with("version = 1", "version = 2"), ":1:", "version", "version = 1"},
           Case{with("0555", "0775"), ":7:", "0775 of tool lets it be written", "\"0555\""},
           Case{with("0555", "0755"), ":7:", "lets it be written", "\"0555\""},
           Case{with("0555", "0444"), ":7:", "keeps it from being run", "mode = \"0555\""},
           Case{with("\"0555\"", "555"), ":7:", "not a string", "\"0555\""},
           Case{with("0555", "rwx"), ":7:", "not octal", "\"0555\""},
           Case{with("/capsem/bin/tool", "capsem/tool"), ":6:", "relative", "absolute path"},
           Case{with("/capsem/bin/tool", "/capsem/../tool"), ":6:", "..", "absolute path"},
           Case{with("/capsem/bin/tool", "/etc/tool"), ":6:", "outside /capsem", "absolute path"},
           Case{with("build = \"tool\"\n", ""), ":4:", "source is missing", "build ="},
           Case{with("build = \"tool\"", "file = \"../tool\""), ":5:", "leaves", "relative"},
           Case{with("\"rootfs\"", "\"disk\""), ":8:", "\"disk\" is no place", "initrd"},
           Case{with("name = \"tool\"", "name = \"To ol\""), ":4:", "name", "capsem-doctor"},
           Case{with("listen = 5001", "listen = -1"), ":9:", "out of range", "5001"},
           Case{with("listen = 5001", "listen = 5001, network = true"), ":9:", "both",
                "one of them"},
           Case{with("listen = 5001", "listen = [5001, 0]"), ":9:", "out of range", "5001"},
           Case{with("listen = 5001", "listen = [5001, \"x\"]"), ":9:", "list of them", "5005"},
           Case{with("listen = 5001", "listen = []"), ":9:", "list of them", "5005"},
           Case{std::string(kValid) + std::string(kValid.substr(kValid.find("[["))),
                ":10:", "the name of tool is used by the entry of line 3", "each entry its own"},
           Case{with("build = \"tool\"", "file = \".\""), ":5:", "leaves", "relative"},
           Case{with("/capsem/bin/tool", "/capsem/entries"), ":3:", "taken", "own directory"},
           Case{with("/capsem/bin/tool", "/capsem/SHA256SUMS"), ":3:", "taken", "own directory"},
           Case{with("/capsem/bin/tool", "/capsem/deployed/x"), ":3:", "taken", "own directory"},
           Case{"version = \n", ":1:", "not TOML", ""},
           Case{"name = \"tool\n", ":1:", "a string is not closed", ""},
           Case{"version = 1\n# \xff\n", ":2:", "not TOML", ""},
           Case{"version = 1\n\rname = 2\n", ":2:", "CR without LF", "LF"},
           Case{with("version = 1\n", ""), ":", "'version' is missing", "version = 1"},
           Case{with("0555", "555"), ":7:", "\"555\" does not have four digits", "\"0555\""},
           Case{with("\"rootfs\"", "\"initrd\""), ":8:", "\"initrd\" is there twice", "into ="},
           Case{with("arguments", "capabilities = [\"kill\", \"kill\"], arguments"),
                ":9:", "\"kill\" is there already", "remove it"},
           Case{with("5001", "5000"), ":3:", "5000 of tool is that of a service of the host",
                "6000"},
           Case{with("5001", "99999999999999999999"), ":9:", "not TOML", ""},
           Case{with("[\"-v\"]", R"(["a\u0000b"])"), ":9:", "has a control character", "remove it"},
           Case{with("/capsem/bin/tool", R"(/capsem/a\u0000b)"), ":6:", "has a control character",
                "absolute path"},
           Case{with("/capsem/bin/tool", "/capsem/" + std::string(256, 'x')), ":6:", "too long",
                "absolute path"},
           Case{with("\"tool\"", "\"" + std::string(256, 'x') + "\""), ":4:", "too long", "name ="},
           Case{with("name = \"tool\"", "name = \"-tool\""), ":4:", "name", "capsem-doctor"},
           Case{with("build = \"tool\"", "file = \"\""), ":5:", "is empty", "relative"},
           Case{with("build = \"tool\"", "file = \"a//b\""), ":5:", "empty part", "relative"},
           Case{with("build = \"tool\"", "file = \"/etc/passwd\""), ":5:", "leaves", "relative"},
       })
    EXPECT_THAT(error_of(c.text),
                AllOf(HasSubstr("guest.toml" + std::string(c.where)), HasSubstr(std::string(c.why)),
                      HasSubstr(std::string(c.instead))))
        << c.text;
}

TEST(Parse, RefusesTheSamePathOrPortTwice) {
  auto second = std::string(kValid.substr(kValid.find("[[")));
  auto renamed = second;
  renamed.replace(renamed.find("\"tool\""), 6, "\"other\"");
  EXPECT_THAT(error_of(std::string(kValid) + renamed), HasSubstr("the path of other"));
  renamed.replace(renamed.find("/capsem/bin/tool"), 16, "/capsem/bin/else");
  EXPECT_THAT(error_of(std::string(kValid) + renamed), HasSubstr("the port of other"));
  renamed.replace(renamed.find("/capsem/bin/else"), 16, "/capsem/bin/tool/x");
  renamed.replace(renamed.find("5001"), 4, "5002");
  EXPECT_THAT(error_of(std::string(kValid) + renamed), HasSubstr("lies inside"));
}

TEST(Parse, RefusesAListWithoutEntriesOrWithoutTheInit) {
  EXPECT_THAT(error_of("version = 1\n", ""), HasSubstr("write [[entry]]"));
  EXPECT_THAT(error_of(std::string(kValid), ""), HasSubstr("the path /init"));
  std::string in_rootfs(kInit);
  in_rootfs.replace(in_rootfs.find("initrd"), 6, "rootfs");
  EXPECT_THAT(error_of(std::string(kValid), in_rootfs), HasSubstr("the path /init"));
}

TEST(Parse, RefusesTwoProgramsThatAreCalledTheSame) {
  auto other = std::string(kValid.substr(kValid.find("[["), kValid.find("service") - 13));
  other.replace(other.find("\"tool\""), 6, "\"other\"");
  other.replace(other.find("/bin/"), 5, "/else/");
  EXPECT_THAT(error_of(std::string(kValid) + other),
              HasSubstr("guest.toml:10: the last part of the path of other is used by the entry"));
}

TEST(Parse, TellsDataTheModesOfData) {
  for (std::string_view mode : {"mode = \"0755\"\n", "mode = \"0644\"\n", "mode = \"0111\"\n",
                                "mode = \"444\"\n", "mode = 444\n", "mode = \"x\"\n", ""}) {
    auto text = with("mode = \"0555\"\n", mode);
    text.replace(text.find("build = "), 14, "file = \"data\"");
    text.erase(text.find("service"));
    EXPECT_THAT(error_of(text),
                HasSubstr("write mode = \"0444\", or \"0555\" for what is to be run"))
        << mode;
  }
}

TEST(Parse, TakesLineEndsOfBothKinds) {
  auto text = std::string(kValid) + std::string(kInit);
  for (auto at = text.find('\n'); at != std::string::npos; at = text.find('\n', at + 2))
    text.insert(at, "\r");
  auto manifest = parse(text, "guest.toml");
  EXPECT_TRUE(manifest) << manifest.error().message();
}

// The ports are said in two places, as the list's reader does not see the messages.
TEST(Parse, KnowsThePortsOfTheHostsServices) {
  std::vector<std::uint32_t> ports;
  for (const auto& port : wire::kPorts)
    if (port.connector == wire::Connector::kGuest) ports.push_back(port.number);
  EXPECT_THAT(kHostPorts, ::testing::UnorderedElementsAreArray(ports));
  EXPECT_EQ(kInitPort, wire::kDeployPort.number);
}

TEST(Parse, TakesSourcesWhoseNamesHoldTwoDots) {
  auto text = with("build = \"tool\"", "file = \"guest/a..b\"");
  text.erase(text.find("service"));
  EXPECT_EQ(error_of(text), "accepted");
}

TEST(Parse, TheInitIsExactly0755) {
  auto init = [](std::string_view mode) {
    auto text = with("/capsem/bin/tool", "/init");
    return text.replace(text.find("0555"), 4, mode);
  };
  EXPECT_THAT(error_of(init("0755"), ""), HasSubstr("guest.toml:9: the init is not one of"));
  auto no_service = init("0755");
  EXPECT_EQ(error_of(no_service.erase(no_service.find("service")), ""), "accepted");
  EXPECT_THAT(error_of(init("0555"), ""), HasSubstr("write mode = \"0755\""));
  EXPECT_THAT(error_of(init("0777"), ""), HasSubstr("write mode = \"0755\""));
}

TEST(Load, NamesAMissingSource) {
  testing::TemporaryDirectory directory;
  auto text = with("build = \"tool\"", "file = \"gone\"");
  text.erase(text.find("service"));
  ASSERT_TRUE(write_file_atomically(directory / "guest.toml", text + std::string(kInit)));
  auto manifest = load(directory / "guest.toml");
  ASSERT_FALSE(manifest);
  EXPECT_THAT(manifest.error().message(), AllOf(HasSubstr("guest.toml:3"), HasSubstr("gone")));
}

TEST(Load, NamesAMissingFolderOfAProgramWhereThereIsSource) {
  testing::TemporaryDirectory directory;
  ASSERT_TRUE(
      write_file_atomically(directory / "guest.toml", std::string(kValid) + std::string(kInit)));
  auto loaded = [&] {
    auto manifest = load(directory / "guest.toml");
    return manifest ? "accepted" : manifest.error().message();
  };
  EXPECT_EQ(loaded(), "accepted");
  for (const auto* folder : {"init", "other"}) {
    auto path = directory / "src/guest" / folder;
    ASSERT_TRUE(make_directories(path));
    ASSERT_TRUE(write_file_atomically(path / "CMakeLists.txt", ""));
  }
  EXPECT_THAT(loaded(), AllOf(HasSubstr("guest.toml:3: "), HasSubstr("src/guest/tool")));
}

TEST(Load, TheRepositorysOwnListIsValidAndNamesEveryGuestBinary) {
  auto manifest = load(std::filesystem::path(CAPSEM_SOURCE_DIRECTORY) / "guest.toml");
  ASSERT_TRUE(manifest) << manifest.error().message();
  std::vector<std::string> names;
  for (const auto& entry : manifest->entries) names.push_back(entry.name);
  EXPECT_THAT(names, ::testing::IsSupersetOf({"capsem-init", "capsem-pty-agent", "capsem-net-proxy",
                                              "capsem-mcp-server", "capsem-sysutil",
                                              "capsem-doctor", "snapshots", "diagnostics"}));
}

}  // namespace
}  // namespace capsem::manifest
