// Where the host's own apt gets a Debian suite from, so that the rootfs comes from the same mirror.
#pragma once

#include <filesystem>
#include <string>
#include <string_view>

namespace capsem::assets {

// Out of the one-line entries of a sources.list: those of packages (not sources) for `suite`, its
// updates and its security updates, with the component main. sources.list(5).
std::string entries_for_suite(std::string_view one_line_list, std::string_view suite);

// The same for deb822 stanzas.
std::string stanzas_for_suite(std::string_view deb822, std::string_view suite);

// All such entries below `apt_directory` (/etc/apt), each in the format it has: the one-line ones
// and the deb822 ones. Both empty when the host is another system; a source whose address holds a
// password is left out, since the rootfs keeps the list.
struct HostSources {
  std::string one_line;
  std::string deb822;
};
HostSources host_sources(const std::filesystem::path& apt_directory, std::string_view suite);

}  // namespace capsem::assets
