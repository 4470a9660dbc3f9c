#include "host/net/policy_sets.h"

#include <algorithm>
#include <array>

#include "base/text.h"

namespace capsem::host::net {
namespace {

struct Row {
  std::string_view set;
  std::string_view hosts;  // with blanks between them
  std::vector<std::uint16_t> ports = {443};
  std::vector<std::string> methods = {};
  std::string_view path = {};
};

const std::vector<Row>& rows() {
  static const std::vector<Row> kRows = {
      // apt's own lists are signed, and Debian's default is http.
      {.set = "debian", .hosts = "deb.debian.org security.debian.org", .ports = {80, 443}},
      {.set = "pypi", .hosts = "pypi.org files.pythonhosted.org"},
      {.set = "npm", .hosts = "registry.npmjs.org"},
      {.set = "crates", .hosts = "index.crates.io static.crates.io crates.io"},
      // Repositories by HTTPS, the API, archives, single files, large files, and what releases
      // hold,
      // which moved from objects to release-assets.
      {.set = "github",
       .hosts = "github.com api.github.com codeload.github.com uploads.github.com "
                "raw.githubusercontent.com media.githubusercontent.com "
                "objects.githubusercontent.com release-assets.githubusercontent.com "
                "github-cloud.githubusercontent.com"},
      {.set = "anthropic", .hosts = "api.anthropic.com"},
      {.set = "openai", .hosts = "api.openai.com"},
      {.set = "google-ai", .hosts = "generativelanguage.googleapis.com"},
      {.set = "go", .hosts = "proxy.golang.org sum.golang.org"},
      // The proxy redirects to its own part of a host on which everybody has one.
      {.set = "go",
       .hosts = "storage.googleapis.com",
       .methods = {"GET", "HEAD"},
       .path = "/proxy-golang-org-prod/*"},
  };
  return kRows;
}

Rule rule_of(const Row& row) {
  Rule rule;
  rule.name = "set " + std::string(row.set);
  rule.action = Action::kAllow;
  for (auto host : split(row.hosts, ' '))
    rule.hosts.push_back(
        {.kind = HostPattern::Kind::kName, .name = std::string(host), .network = {}});
  rule.ports = row.ports;
  rule.methods = row.methods;
  if (!row.path.empty()) rule.paths.push_back(*PathPattern::parse(row.path));
  if (rule.needs_request()) rule.tls = Tls::kInspect;
  return rule;
}

}  // namespace

std::vector<std::string_view> policy_set_names() {
  std::vector<std::string_view> names;
  for (const auto& row : rows())
    if (names.empty() || names.back() != row.set) names.push_back(row.set);
  return names;
}

std::optional<std::vector<Rule>> policy_set(std::string_view name) {
  std::vector<Rule> rules;
  for (const auto& row : rows())
    if (row.set == name) rules.push_back(rule_of(row));
  if (rules.empty()) return std::nullopt;
  return rules;
}

}  // namespace capsem::host::net
