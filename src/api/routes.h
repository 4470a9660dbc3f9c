// Every request that a monitor answers: one row a method and path. openapi.json says the same at
// length; a test holds the two against each other.
#pragma once

#include <array>
#include <string_view>

namespace capsem::api {

enum class Route {
  kVm,
  kEvents,
  kSessions,
  kCopies,
  kPorts,
  kDeploy,
  kStop,
  kKill,
  kPolicy,
  kDenials,
  kQuestions,
  kAnswer
};

struct RouteRow {
  Route route;
  std::string_view method;
  std::string_view path;
};

inline constexpr std::array kRoutes = {
    RouteRow{Route::kVm, "GET", "/v1/vm"},
    RouteRow{Route::kEvents, "GET", "/v1/events"},
    RouteRow{Route::kSessions, "POST", "/v1/sessions"},
    RouteRow{Route::kCopies, "POST", "/v1/copies"},
    RouteRow{Route::kPorts, "POST", "/v1/ports"},
    RouteRow{Route::kDeploy, "POST", "/v1/deploy"},
    RouteRow{Route::kStop, "POST", "/v1/stop"},
    RouteRow{Route::kKill, "POST", "/v1/kill"},
    RouteRow{Route::kPolicy, "PUT", "/v1/policy"},
    RouteRow{Route::kDenials, "GET", "/v1/denials"},
    RouteRow{Route::kQuestions, "GET", "/v1/questions"},
    RouteRow{Route::kAnswer, "POST", "/v1/questions"},
};

// The protocols that connections are upgraded to, after which they are streams of the guest's:
// the messages of capsem.proto, which the monitor does not read.
struct UpgradeRow {
  Route route;
  std::string_view protocol;
  std::string_view what;  // is asked for, in words
};

inline constexpr std::array kUpgrades = {
    UpgradeRow{Route::kSessions, "capsem-session", "a session"},
    UpgradeRow{Route::kCopies, "capsem-copy", "a copy"},
    UpgradeRow{Route::kPorts, "capsem-port", "a connection to a port"},
    UpgradeRow{Route::kDeploy, "capsem-deploy", "a deploy"},
};

// The row of a route that has one.
constexpr const UpgradeRow& upgrade_of(Route route) {
  for (const auto& row : kUpgrades)
    if (row.route == route) return row;
  return kUpgrades.front();
}

constexpr const RouteRow& row_of(Route route) {
  for (const auto& row : kRoutes)
    if (row.route == route) return row;
  return kRoutes.front();
}

}  // namespace capsem::api
