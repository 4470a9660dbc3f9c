#include "audit/model_api.h"

#include <array>

namespace capsem::audit {
namespace {

using enum ModelField;

// platform.claude.com/docs/en/api/messages, and "Streaming messages". Tokens of the cache stand
// beside input_tokens; those of a stream's later events include the earlier.
constexpr std::array kAnthropic = {
    ModelFieldPlace{"model", kModel},
    ModelFieldPlace{"message.model", kModel},
    ModelFieldPlace{"content.[].name", kTool},
    ModelFieldPlace{"content_block.name", kTool},
    ModelFieldPlace{"usage.input_tokens", kInput},
    ModelFieldPlace{"message.usage.input_tokens", kInput},
    ModelFieldPlace{"usage.cache_creation_input_tokens", kMoreInput},
    ModelFieldPlace{"message.usage.cache_creation_input_tokens", kMoreInput},
    ModelFieldPlace{"usage.cache_read_input_tokens", kUncountedCachedInput},
    ModelFieldPlace{"message.usage.cache_read_input_tokens", kUncountedCachedInput},
    ModelFieldPlace{"usage.output_tokens", kOutput},
    ModelFieldPlace{"message.usage.output_tokens", kOutput},
};

// Chat completions and responses (platform.openai.com/docs/api-reference), which have no name in
// common that means two things.
constexpr std::array kOpenAi = {
    ModelFieldPlace{"model", kModel},
    ModelFieldPlace{"response.model", kModel},
    ModelFieldPlace{"choices.[].message.tool_calls.[].function.name", kTool},
    ModelFieldPlace{"choices.[].delta.tool_calls.[].function.name", kTool},
    ModelFieldPlace{"choices.[].message.tool_calls.[].custom.name", kTool},
    ModelFieldPlace{"choices.[].delta.tool_calls.[].custom.name", kTool},
    ModelFieldPlace{"output.[].name", kTool},
    ModelFieldPlace{"item.name", kTool},
    ModelFieldPlace{"response.output.[].name", kTool},
    ModelFieldPlace{"usage.prompt_tokens", kInput},
    ModelFieldPlace{"usage.input_tokens", kInput},
    ModelFieldPlace{"response.usage.input_tokens", kInput},
    ModelFieldPlace{"usage.prompt_tokens_details.cached_tokens", kCachedInput},
    ModelFieldPlace{"usage.input_tokens_details.cached_tokens", kCachedInput},
    ModelFieldPlace{"response.usage.input_tokens_details.cached_tokens", kCachedInput},
    ModelFieldPlace{"usage.completion_tokens", kOutput},
    ModelFieldPlace{"usage.output_tokens", kOutput},
    ModelFieldPlace{"response.usage.output_tokens", kOutput},
};

// ai.google.dev/api/generate-content, "UsageMetadata".
constexpr std::array kGoogle = {
    ModelFieldPlace{"modelVersion", kModel},
    ModelFieldPlace{"candidates.[].content.parts.[].functionCall.name", kTool},
    ModelFieldPlace{"usageMetadata.promptTokenCount", kInput},
    ModelFieldPlace{"usageMetadata.toolUsePromptTokenCount", kMoreInput},
    ModelFieldPlace{"usageMetadata.cachedContentTokenCount", kCachedInput},
    ModelFieldPlace{"usageMetadata.candidatesTokenCount", kOutput},
    ModelFieldPlace{"usageMetadata.thoughtsTokenCount", kMoreOutput},
};

struct Endpoint {
  std::string_view host;        // or, with a '-' before it, how hosts end
  std::string_view path_begin;  // with nothing for path_end: the whole path
  std::string_view path_end;
  std::string_view provider;
  std::span<const ModelFieldPlace> fields;
};

constexpr std::string_view kGenerate = ":generateContent";
constexpr std::string_view kStream = ":streamGenerateContent";
constexpr std::string_view kGemini = "generativelanguage.googleapis.com";
constexpr std::string_view kVertex = "aiplatform.googleapis.com";
constexpr std::string_view kRegionalVertex = "-aiplatform.googleapis.com";

constexpr std::array kEndpoints = {
    Endpoint{"api.anthropic.com", "/v1/messages", "", "anthropic", kAnthropic},
    Endpoint{"api.openai.com", "/v1/chat/completions", "", "openai", kOpenAi},
    Endpoint{"api.openai.com", "/v1/responses", "", "openai", kOpenAi},
    Endpoint{kGemini, "/v1", kGenerate, "google", kGoogle},
    Endpoint{kGemini, "/v1", kStream, "google", kGoogle},
    Endpoint{kGemini, "/v1beta/openai/chat/completions", "", "google", kOpenAi},
    Endpoint{kVertex, "/v1", kGenerate, "google", kGoogle},
    Endpoint{kVertex, "/v1", kStream, "google", kGoogle},
    Endpoint{kRegionalVertex, "/v1", kGenerate, "google", kGoogle},
    Endpoint{kRegionalVertex, "/v1", kStream, "google", kGoogle},
};

bool matches(const Endpoint& endpoint, std::string_view host, std::string_view path) {
  bool is_suffix = endpoint.host.starts_with('-');
  if (is_suffix ? !host.ends_with(endpoint.host) : host != endpoint.host) return false;
  if (endpoint.path_end.empty()) return path == endpoint.path_begin;
  return path.starts_with(endpoint.path_begin) && path.ends_with(endpoint.path_end);
}

// "gemini-2.5-flash" of "/v1beta/models/gemini-2.5-flash:generateContent".
std::string model_in(std::string_view path) {
  constexpr std::string_view kModels = "/models/";
  auto begin = path.rfind(kModels);
  auto end = path.rfind(':');
  if (begin == std::string_view::npos || end == std::string_view::npos) return {};
  begin += kModels.size();
  return end > begin ? std::string(path.substr(begin, end - begin)) : std::string();
}

}  // namespace

std::optional<ModelApi> find_model_api(std::string_view host, std::string_view path) {
  path = path.substr(0, path.find('?'));
  for (const auto& endpoint : kEndpoints)
    if (matches(endpoint, host, path))
      return ModelApi{.provider = endpoint.provider,
                      .fields = endpoint.fields,
                      .model = endpoint.path_end.empty() ? std::string() : model_in(path)};
  return std::nullopt;
}

}  // namespace capsem::audit
