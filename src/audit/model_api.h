// The model APIs whose answers say what they cost: where they are, and where in their JSON it
// stands.
#pragma once

#include <optional>
#include <span>
#include <string>
#include <string_view>

namespace capsem::audit {

enum class ModelField {
  kModel,
  kTool,  // the name of one that the model calls
  kInput,
  kMoreInput,             // that kInput does not count
  kCachedInput,           // that kInput counts
  kUncountedCachedInput,  // that kInput does not count
  kOutput,
  kMoreOutput,  // that kOutput does not count
};

// Where a field is: the names on the way to it with a dot between them, "[]" for any element of an
// array. An array around the whole answer does not count.
struct ModelFieldPlace {
  std::string_view path;
  ModelField field;
};

struct ModelApi {
  std::string_view provider;
  std::span<const ModelFieldPlace> fields;
  std::string model;  // as the request's path names it; empty where it does not
};

// The one that a request to this host and path asks; `host` in the form of normal_host().
std::optional<ModelApi> find_model_api(std::string_view host, std::string_view path);

}  // namespace capsem::audit
