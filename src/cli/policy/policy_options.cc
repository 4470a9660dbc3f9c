#include "cli/policy/policy_options.h"

#include <CLI/CLI.hpp>
#include <algorithm>

#include "base/file.h"
#include "base/user_directories.h"
#include "host/net/policy_layers.h"
#include "host/net/policy_text.h"

namespace capsem::cli {
namespace {

// May be given again and again, with one value each time, which is taken as it is.
void add_hosts(CLI::App& app, const char* name, std::vector<std::string>& hosts, const char* type,
               const char* description) {
  auto take = [&hosts](const std::string& value) { hosts.push_back(value); };
  app.add_option_function<std::string>(name, take, description)
      ->trigger_on_parse()
      ->type_name(type);
}

enum class Missing { kIsError, kIsNothing };

Result<> add_document(host::net::PolicyLayers& layers, const std::filesystem::path& file,
                      Missing missing) {
  auto text = read_file(file, host::net::kPolicyTextLimitBytes);
  if (text) {
    layers.documents.push_back({.file = file, .text = std::move(*text)});
    return {};
  }
  bool nothing = missing == Missing::kIsNothing && text.error().kind() == ErrorKind::kNotFound;
  return nothing ? Result<>() : propagate(text);
}

Result<host::net::PolicyLayers> layers_of(const PolicyOptions& options) {
  host::net::PolicyLayers layers{.deny = options.deny, .allow = options.allow, .documents = {}};
  if (!options.file.empty())
    if (auto added = add_document(layers, options.file, Missing::kIsError); !added)
      return propagate(added);
  return layers;
}

}  // namespace

void add_policy_options(CLI::App& app, PolicyOptions& options) {
  app.add_option("--policy", options.file,
                 "Rules for the network, before those of the VM and of the user; see "
                 "docs/network.md")
      ->type_name("FILE");
  add_hosts(app, "--allow", options.allow, "HOST[:PORT]",
            "Let the guest reach this host, by HTTP and HTTPS or on this port: a name, *.NAME for "
            "all below it, an address or a network; may be repeated");
  add_hosts(app, "--deny", options.deny, "HOST",
            "Keep the guest from this host, whatever else allows it; may be repeated");
}

Result<std::string> changed_policy(const PolicyOptions& options, const std::string& before) {
  auto layers = layers_of(options);
  if (!layers) return propagate(layers);
  auto rules = host::net::combine(*layers);
  if (!rules) return propagate(rules);
  auto earlier = host::net::read_policy(before, "the VM's policy");
  if (!earlier) return propagate(earlier);
  for (auto& rule : *earlier)
    if (std::ranges::find(*rules, rule) == rules->end()) rules->push_back(std::move(rule));
  return host::net::write_policy(*rules);
}

Result<std::string> combined_policy(const PolicyOptions& options,
                                    const std::optional<std::filesystem::path>& of_vm) {
  auto layers = layers_of(options);
  if (!layers) return propagate(layers);
  if (of_vm)
    if (auto added = add_document(*layers, *of_vm, Missing::kIsNothing); !added)
      return propagate(added);
  auto directory = config_directory();
  if (!directory) return propagate(directory);
  if (auto added = add_document(*layers, *directory / kUserPolicyFile, Missing::kIsNothing); !added)
    return propagate(added);
  auto rules = host::net::combine(*layers);
  if (!rules) return propagate(rules);
  return host::net::write_policy(*rules);
}

}  // namespace capsem::cli
