// capsem-guest-programs: asked by the build, so that guest.toml has one reader. It is a program of
// its own since it is built, quickly, before what it is asked about.
//   check GUEST_TOML
//   table GUEST_TOML HEADER FOLDER...
//   place GUEST_TOML INIT PROGRAMS DIRECTORY NAMES   NAMES: a file, a line for each program placed
#include <exception>
#include <span>
#include <string_view>

#include "base/file.h"
#include "base/log.h"
#include "manifest/parse.h"
#include "manifest/programs.h"

namespace capsem::manifest {
namespace {

using Words = std::span<char*>;

Result<> write_table(const Manifest& manifest, Words words) {
  auto header = program_table(manifest, {words.begin() + 1, words.end()});
  if (!header) return propagate(header);
  // The same header again would have its users compiled anew.
  auto old = read_file(words[0], header->size());
  if (old && *old == *header) return {};
  return write_file_atomically(words[0], *header);
}

Result<> place(const Manifest& manifest, Words words) {
  auto placed = place_programs(manifest, {.init = words[0], .programs = words[1]}, words[2]);
  if (!placed) return placed;
  std::string names;
  for (const auto& entry : manifest.entries)
    if (entry.build) names += entry.name + '\n';
  return write_file_atomically(words[3], names);
}

Result<> act(Words words) {
  constexpr const char* kUsage = "see the head of src/manifest/programs_main.cc";
  if (words.size() < 2)
    return fail("read", "the command line", "it is too short", kUsage, ErrorKind::kInvalid);
  std::string_view verb = words[0];
  auto manifest = load(words[1]);
  if (!manifest) return propagate(manifest);
  auto rest = words.subspan(2);
  if (verb == "check" && rest.empty()) return {};
  if (verb == "table" && !rest.empty()) return write_table(*manifest, rest);
  if (verb == "place" && rest.size() == 4) return place(*manifest, rest);
  return fail("do", std::string(verb), "there is no such command with these words", kUsage,
              ErrorKind::kInvalid);
}

}  // namespace
}  // namespace capsem::manifest

int main(int argc, char** argv) {
  try {
    auto done = capsem::manifest::act({argv + 1, argv + argc});
    if (done) return 0;
    capsem::say(done.error().message());
  } catch (const std::exception& thrown) {  // from the standard library: out of memory
    capsem::say(thrown.what());
  }
  return 2;
}
