#include "guest/init/service_changes.h"

#include <algorithm>
#include <optional>

namespace capsem::guest::init {
namespace {

using manifest::Entry;

// The entry of a service that is deployed.
const Entry* service_of(const Set& set, const std::string& name) {
  auto found = std::ranges::find(set.manifest.entries, name, &Entry::name);
  bool is_service = found != set.manifest.entries.end() && found->service;
  return is_service && find_deployed(set.entries, name) != nullptr ? &*found : nullptr;
}

std::optional<ServiceChange> change_of(const Entry& before, const Entry& now, bool same_program) {
  const auto& was = *before.service;
  const auto& is = *now.service;
  if (before.path != now.path || was.arguments != is.arguments || was.listen != is.listen ||
      was.network != is.network || was.restart != is.restart || was.capabilities != is.capabilities)
    return ServiceChange::kChanged;
  if (same_program) return std::nullopt;
  return ServiceChange::kReplaced;
}

}  // namespace

std::vector<ConcernedService> concerned_services(const Set& before, const Set& now) {
  std::vector<ConcernedService> concerned;
  for (const auto& entry : before.manifest.entries)
    if (service_of(before, entry.name) != nullptr && service_of(now, entry.name) == nullptr)
      concerned.push_back({entry.name, ServiceChange::kGone});
  for (const auto& entry : now.manifest.entries) {
    if (service_of(now, entry.name) == nullptr) continue;
    const auto* was = service_of(before, entry.name);
    if (was == nullptr) {
      concerned.push_back({entry.name, ServiceChange::kNew, true});
      continue;
    }
    bool same_program = find_deployed(before.entries, entry.name)->sha256 ==
                        find_deployed(now.entries, entry.name)->sha256;
    if (auto change = change_of(*was, entry, same_program))
      concerned.push_back({entry.name, *change,
                           was->service->listen != entry.service->listen ||
                               was->service->network != entry.service->network});
  }
  return concerned;
}

}  // namespace capsem::guest::init
