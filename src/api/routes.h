// Every request that a monitor answers: one row a method and path. openapi.json says the same at
// length; a test holds the two against each other.
#pragma once

#include <array>
#include <string_view>

namespace capsem::api {

enum class Route { kVm, kEvents, kSessions, kStop, kKill };

struct RouteRow {
  Route route;
  std::string_view method;
  std::string_view path;
};

inline constexpr std::array kRoutes = {
    RouteRow{Route::kVm, "GET", "/v1/vm"},
    RouteRow{Route::kEvents, "GET", "/v1/events"},
    RouteRow{Route::kSessions, "POST", "/v1/sessions"},
    RouteRow{Route::kStop, "POST", "/v1/stop"},
    RouteRow{Route::kKill, "POST", "/v1/kill"},
};

// The protocol that POST /v1/sessions is upgraded to: the session messages of capsem.proto.
inline constexpr std::string_view kSessionUpgrade = "capsem-session";

}  // namespace capsem::api
