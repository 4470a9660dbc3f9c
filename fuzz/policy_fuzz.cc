// A line of a question (host, method, path, process, port and address, with tabs between them), and
// after it a policy: what is read is written and read again as the same, the index decides as
// looking at each rule does, and what is denied is allowed by the rule that is said to allow it.
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <string>
#include <string_view>
#include <vector>

#include "base/text.h"
#include "host/net/destination.h"
#include "host/net/policy.h"
#include "host/net/policy_explain.h"
#include "host/net/policy_layers.h"
#include "host/net/policy_text.h"
#include "tests/host/net/slow_policy.h"

namespace {

using namespace capsem;             // NOLINT(google-build-using-namespace): all fuzz target
using namespace capsem::host::net;  // NOLINT(google-build-using-namespace)

constexpr const char* kFile = "p.toml";

void require(bool holds) {
  if (!holds) std::abort();
}

Question question_of(std::string_view line) {
  auto parts = split(line, '\t');
  parts.resize(6);
  Question question{.host = std::string(parts[0]), .flow = {}, .request = std::nullopt};
  question.request = {.method = std::string(parts[1]), .path = std::string(parts[2])};
  question.flow.process.executable = parts[3];
  question.flow.port = parts[4].empty() ? 443 : static_cast<std::uint16_t>(parts[4].front());
  if (auto address = parse_address(parts[5])) question.flow.address = *address;
  return question;
}

void check_names(std::string_view text) {
  if (auto name = normal_host(text)) {
    require(is_normal_host(*name) && normal_host(*name).value() == *name);
    require(written_host(text).value() == *name && !parse_address(*name));
  }
  if (auto name = written_host(text)) require(normal_host(*name).value() == *name);
  if (auto to = parse_destination(text)) require(to->port != 0 && to->path.starts_with('/'));
  if (auto rule = allow_rule(text))
    require(read_policy(write_rule(*rule), kFile).value().front() == *rule);
}

void check_advice(const std::vector<Rule>& rules, const Question& question) {
  auto advice = rule_to_allow(question);
  if (!advice) return;
  auto read = read_policy(write_rule(*advice), kFile);
  require(read.has_value());
  read->insert(read->end(), rules.begin(), rules.end());
  const Policy policy(std::move(*read));
  const auto& [method, path] = *question.request;
  require(policy.connection(question.host, question.flow).verdict != Verdict::kDeny);
  require(policy.request(question.host, question.flow, method, path).verdict == Verdict::kPass);
}

void check_decisions(const std::vector<Rule>& rules, const Question& question) {
  const Policy fast(rules);
  const SlowPolicy slow(rules);
  const auto& [host, flow, request] = question;
  auto connection = fast.connection(host, flow);
  auto judged = fast.request(host, flow, request->method, request->path);
  require(fast.name(host) == slow.name(host));
  require(connection == slow.connection(host, flow));
  require(judged == slow.request(host, flow, request->method, request->path));
  require(judged.verdict != Verdict::kInspect);
  require(judged.verdict == Verdict::kDeny || connection.verdict != Verdict::kDeny);
  require(!why(fast, fast.judge_connection(host, flow), question).empty());
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const std::string_view all(reinterpret_cast<const char*>(data), size);
  auto end = all.find('\n');
  auto question = question_of(all.substr(0, end));
  check_names(question.host);
  auto rules = read_policy(end == all.npos ? "" : all.substr(end + 1), kFile);
  if (!rules) {
    require(rules.error().message().find(kFile) != std::string::npos);
    return 0;
  }
  auto written = write_policy(*rules);
  require(written.has_value());
  auto again = read_policy(*written, "again");
  require(again.has_value() && *again == *rules && write_policy(*again) == *written);
  check_decisions(*rules, question);
  check_advice(*rules, question);
  return 0;
}
