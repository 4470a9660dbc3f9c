// Answers of model APIs in the shape that they come in, with what they say of their cost.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "audit/records.h"

namespace capsem::audit::testing {

struct Answer {
  std::string_view name;
  std::string_view host;
  std::string_view path;
  std::string_view content_type;
  std::string_view body;
  ModelUsage usage;
};

inline constexpr std::string_view kJson = "application/json";
inline constexpr std::string_view kEvents = "text/event-stream; charset=utf-8";

inline std::vector<Answer> answers() {
  return {
      {"anthropic",
       "api.anthropic.com",
       "/v1/messages",
       kJson,
       R"({"id":"msg_01XFDUDYJgAACzvnptvVoYEL","type":"message","role":"assistant",
"model":"claude-sonnet-4-5-20250929","content":[
{"type":"text","text":"I'll look. {\"usage\":{\"input_tokens\":999}} \u00e9\n"},
{"type":"tool_use","id":"toolu_01A09q90qw90lq917835lq9","name":"bash","input":{"command":"ls","name":"not a tool","usage":{"output_tokens":7}}},
{"type":"server_tool_use","id":"srvtoolu_01","name":"web_search","input":{"query":"x"}},
{"type":"tool_use","id":"toolu_02","name":"bash","input":{}}],
"stop_reason":"tool_use","stop_sequence":null,
"usage":{"input_tokens":21,"cache_creation_input_tokens":188,"cache_read_input_tokens":1800,
"cache_creation":{"ephemeral_5m_input_tokens":188,"ephemeral_1h_input_tokens":0},
"output_tokens":305,"server_tool_use":{"web_search_requests":1},"service_tier":"standard"}})",
       {.provider = "anthropic",
        .model = "claude-sonnet-4-5-20250929",
        .input_tokens = 2009,
        .cached_input_tokens = 1800,
        .output_tokens = 305,
        .tools = {"bash", "web_search"}}},
      {"anthropic, streamed",
       "api.anthropic.com",
       "/v1/messages?beta=true",
       kEvents,
       R"(event: message_start
data: {"type":"message_start","message":{"model":"claude-opus-4-5-20251101","id":"msg_014p7gG3wDgGV9EUtLvnow3U","type":"message","role":"assistant","content":[],"stop_reason":null,"stop_sequence":null,"usage":{"input_tokens":472,"cache_creation_input_tokens":100,"cache_read_input_tokens":3000,"output_tokens":2}}}

event: content_block_start
data: {"type":"content_block_start","index":0,"content_block":{"type":"text","text":""}}

event: ping
data: {"type": "ping"}

event: content_block_delta
data: {"type":"content_block_delta","index":0,"delta":{"type":"text_delta","text":"data: Okay\n\n"}}

event: content_block_stop
data: {"type":"content_block_stop","index":0}

event: content_block_start
data: {"type":"content_block_start","index":1,"content_block":{"type":"tool_use","id":"toolu_01T1x1fJ34qAmk2tNTrN7Up6","name":"get_weather","input":{}}}

event: content_block_delta
data: {"type":"content_block_delta","index":1,"delta":{"type":"input_json_delta","partial_json":"{\"location\":"}}

event: content_block_stop
data: {"type":"content_block_stop","index":1}

event: message_delta
data: {"type":"message_delta","delta":{"stop_reason":"tool_use","stop_sequence":null},"usage":{"input_tokens":0,"cache_read_input_tokens":0,"output_tokens":89}}

event: message_stop
data: {"type":"message_stop"}

)",
       {.provider = "anthropic",
        .model = "claude-opus-4-5-20251101",
        .input_tokens = 3572,
        .cached_input_tokens = 3000,
        .output_tokens = 89,
        .tools = {"get_weather"}}},
      {"openai chat",
       "api.openai.com",
       "/v1/chat/completions",
       kJson,
       R"({"id":"chatcmpl-abc123","object":"chat.completion","created":1699896916,"model":"gpt-4o-mini-2024-07-18",
"choices":[{"index":0,"message":{"role":"assistant","content":null,"tool_calls":[
{"id":"call_abc123","type":"function","function":{"name":"get_current_weather","arguments":"{\n\"location\": \"Boston, MA\"\n}"}},
{"id":"call_abc124","type":"custom","custom":{"name":"run_code","input":"1+1"}}],"refusal":null},
"logprobs":null,"finish_reason":"tool_calls"}],
"usage":{"prompt_tokens":1182,"completion_tokens":117,"total_tokens":1299,
"prompt_tokens_details":{"cached_tokens":1024,"audio_tokens":0},
"completion_tokens_details":{"reasoning_tokens":64,"audio_tokens":0,"accepted_prediction_tokens":0}},
"system_fingerprint":"fp_6b68a8204b"})",
       {.provider = "openai",
        .model = "gpt-4o-mini-2024-07-18",
        .input_tokens = 1182,
        .cached_input_tokens = 1024,
        .output_tokens = 117,
        .tools = {"get_current_weather", "run_code"}}},
      {"openai chat, streamed",
       "api.openai.com",
       "/v1/chat/completions",
       kEvents,
       "data: "
       "{\"id\":\"chatcmpl-1\",\"object\":\"chat.completion.chunk\",\"model\":\"gpt-5-2025-08-07\","
       "\"choices\":[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":null,\"tool_"
       "calls\":[{"
       "\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":\"shell\","
       "\"arguments\":"
       "\"\"}}]},\"finish_reason\":null}],\"usage\":null}\r\n\r\n"
       "data: "
       "{\"id\":\"chatcmpl-1\",\"model\":\"gpt-5-2025-08-07\",\"choices\":[{\"index\":0,\"delta\":{"
       "\"tool_calls\":[{\"index\":0,\"function\":{\"arguments\":\"{\\\"cmd\\\":\"}}]}}],\"usage\":"
       "null}"
       "\r\n\r\n"
       "data: {\"id\":\"chatcmpl-1\",\"model\":\"gpt-5-2025-08-07\",\"choices\":[],\"usage\":{"
       "\"prompt_tokens\":19,\"completion_tokens\":410,\"total_tokens\":429,\"prompt_tokens_"
       "details\":{"
       "\"cached_tokens\":0},\"completion_tokens_details\":{\"reasoning_tokens\":384}}}\r\n\r\n"
       "data: [DONE]\r\n\r\n",
       {.provider = "openai",
        .model = "gpt-5-2025-08-07",
        .input_tokens = 19,
        .output_tokens = 410,
        .tools = {"shell"}}},
      {"openai responses",
       "api.openai.com",
       "/v1/responses",
       kJson,
       R"({"id":"resp_67ccd2bed1ec8190b14f964abc054267","object":"response","created_at":1741476542,
"status":"completed","error":null,"model":"gpt-4.1-2025-04-14","output":[
{"type":"reasoning","id":"rs_1","summary":[]},
{"type":"function_call","id":"fc_67ca09c6","call_id":"call_unLAR8MvFNptuiZK6K6HCy5k","name":"apply_patch","arguments":"{}","status":"completed"},
{"type":"message","id":"msg_1","status":"completed","role":"assistant","content":[{"type":"output_text","text":"Done.","annotations":[]}]}],
"tools":[{"type":"function","name":"never_called","parameters":{"type":"object"}}],
"usage":{"input_tokens":36,"input_tokens_details":{"cached_tokens":12},"output_tokens":87,
"output_tokens_details":{"reasoning_tokens":20},"total_tokens":123},"user":null,"metadata":{}})",
       {.provider = "openai",
        .model = "gpt-4.1-2025-04-14",
        .input_tokens = 36,
        .cached_input_tokens = 12,
        .output_tokens = 87,
        .tools = {"apply_patch"}}},
      {"openai responses, streamed",
       "api.openai.com",
       "/v1/responses",
       kEvents,
       R"(event: response.created
data: {"type":"response.created","response":{"id":"resp_1","object":"response","status":"in_progress","model":"gpt-5-codex","output":[],"usage":null}}

event: response.output_item.added
data: {"type":"response.output_item.added","output_index":0,"item":{"id":"fc_1","type":"function_call","status":"in_progress","arguments":"","call_id":"call_1","name":"shell"}}

event: response.function_call_arguments.delta
data: {"type":"response.function_call_arguments.delta","item_id":"fc_1","output_index":0,"delta":"{\"command\":[\"ls\"]}"}

event: response.completed
data: {"type":"response.completed","response":{"id":"resp_1","object":"response","status":"completed","model":"gpt-5-codex","output":[{"id":"fc_1","type":"function_call","status":"completed","arguments":"{}","call_id":"call_1","name":"shell"}],"usage":{"input_tokens":5120,"input_tokens_details":{"cached_tokens":4096},"output_tokens":33,"output_tokens_details":{"reasoning_tokens":0},"total_tokens":5153}}}

)",
       {.provider = "openai",
        .model = "gpt-5-codex",
        .input_tokens = 5120,
        .cached_input_tokens = 4096,
        .output_tokens = 33,
        .tools = {"shell"}}},
      {"google",
       "generativelanguage.googleapis.com",
       "/v1beta/models/gemini-2.5-flash:generateContent?key=placeholder",
       kJson,
       R"({
  "candidates": [{"content": {"parts": [
      {"functionCall": {"name": "schedule_meeting", "args": {"topic": "Q3", "name": "not a tool"}}}],
      "role": "model"}, "finishReason": "STOP", "index": 0}],
  "usageMetadata": {"promptTokenCount": 318, "candidatesTokenCount": 42, "totalTokenCount": 431,
    "cachedContentTokenCount": 200, "toolUsePromptTokenCount": 10,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 318}], "thoughtsTokenCount": 61},
  "modelVersion": "gemini-2.5-flash-001",
  "responseId": "abc"
})",
       {.provider = "google",
        .model = "gemini-2.5-flash-001",
        .input_tokens = 328,
        .cached_input_tokens = 200,
        .output_tokens = 103,
        .tools = {"schedule_meeting"}}},
      {"google, streamed as events",
       "generativelanguage.googleapis.com",
       "/v1beta/models/gemini-2.5-pro:streamGenerateContent?alt=sse",
       kEvents,
       "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \"Once\"}],\"role\": "
       "\"model\"},"
       "\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 12,\"totalTokenCount\": "
       "12}}\r\n\r\n"
       "data: {\"candidates\": [{\"content\": {\"parts\": [{\"text\": \" upon\"}],\"role\": "
       "\"model\"},"
       "\"finishReason\": \"STOP\",\"index\": 0}],\"usageMetadata\": {\"promptTokenCount\": 12,"
       "\"candidatesTokenCount\": 725,\"totalTokenCount\": 1737,\"thoughtsTokenCount\": "
       "1000}}\r\n\r\n",
       {.provider = "google",
        .model = "gemini-2.5-pro",
        .input_tokens = 12,
        .output_tokens = 1725}},
      {"google, streamed as an array",
       "europe-west4-aiplatform.googleapis.com",
       "/v1/projects/p/locations/europe-west4/publishers/google/models/"
       "gemini-2.0-flash:streamGenerateContent",
       kJson,
       R"([{
  "candidates": [{"content": {"role": "model","parts": [{"text": "One"}]}}],
  "usageMetadata": {"trafficType": "ON_DEMAND"},
  "modelVersion": "gemini-2.0-flash"
}
,
{
  "candidates": [{"content": {"role": "model","parts": [{"functionCall": {"name": "lookup","args": {}}}]}}],
  "usageMetadata": {"promptTokenCount": 9,"candidatesTokenCount": 15,"totalTokenCount": 24},
  "modelVersion": "gemini-2.0-flash"
}
])",
       {.provider = "google",
        .model = "gemini-2.0-flash",
        .input_tokens = 9,
        .output_tokens = 15,
        .tools = {"lookup"}}},
      {"google, as openai's chat",
       "generativelanguage.googleapis.com",
       "/v1beta/openai/chat/completions",
       kJson,
       R"({"choices":[{"finish_reason":"stop","index":0,"message":{"content":"Hi","role":"assistant"}}],"created":1,"model":"gemini-2.0-flash","object":"chat.completion","usage":{"completion_tokens":3,"prompt_tokens":5,"total_tokens":8}})",
       {.provider = "google", .model = "gemini-2.0-flash", .input_tokens = 5, .output_tokens = 3}},
  };
}

}  // namespace capsem::audit::testing
