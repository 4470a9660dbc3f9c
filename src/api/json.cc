#include "api/json.h"

#include <array>
#include <limits>
#include <memory>
#include <nlohmann/json.hpp>
#include <type_traits>
#include <utility>
#include <variant>

#include "api/vm_log.h"
#include "api/vm_record.h"
#include "base/json.h"

namespace capsem::api {
namespace {

using nlohmann::json;

constexpr std::array<std::string_view, 4> kStates = {"starting", "running", "stopping", "ended"};
constexpr std::array<std::string_view, 4> kEnds = {"stopped", "powered-off", "rebooted", "failed"};
constexpr std::array<std::string_view, 4> kEvents = {"state", "service", "warning", "denied"};
constexpr std::array<std::string_view, 3> kRecordedStates = {"running", "stopped", "failed"};
constexpr std::array<std::string_view, 9> kErrors = {"other",    "not-found", "permission",
                                                     "no-space", "invalid",   "damaged",
                                                     "timeout",  "closed",    "interrupted"};

template <class Enum, std::size_t N>
std::optional<Enum> find(const std::array<std::string_view, N>& names, std::string_view word) {
  for (std::size_t i = 0; i < N; ++i)
    if (names.at(i) == word) return static_cast<Enum>(i);
  return std::nullopt;
}

template <class Enum, std::size_t N>
std::string_view name_in(const std::array<std::string_view, N>& names, Enum value) {
  return names.at(static_cast<std::size_t>(value));
}

// ---- writing

json object(const Error& error) {
  return {{"message", error.message()}, {"attempted", error.attempted()},
          {"subject", error.subject()}, {"reason", error.reason()},
          {"advice", error.advice()},   {"kind", name_in(kErrors, error.kind())}};
}

json object(const Guest& guest) {
  json steps = json::array();
  for (const auto& step : guest.steps)
    steps.push_back(
        {{"name", step.name}, {"start_us", step.start_us}, {"duration_us", step.duration_us}});
  json entries = json::array();
  for (const auto& entry : guest.entries) {
    json one = {{"name", entry.name}, {"origin", name_of(entry.origin)}};
    if (entry.sha256) one["sha256"] = entry.sha256->hex();
    entries.push_back(std::move(one));
  }
  return {{"kernel_release", guest.kernel_release},
          {"started_us", guest.started_us},
          {"arrived_us", guest.arrived_us},
          {"uptime_us", guest.uptime_us},
          {"steps", std::move(steps)},
          {"entries", std::move(entries)}};
}

json object(const Start& start) {
  json value = {{"accelerator", start.accelerator},
                {"memory_bytes", start.memory_bytes},
                {"cpus", start.cpus},
                {"boot_limit_ms", start.boot_limit_ms},
                {"hostname", start.hostname},
                {"cache_directory", start.cache_directory}};
  if (start.disk)
    value["disk"] = {{"size_bytes", start.disk->size_bytes}, {"uuid", start.disk->uuid}};
  return value;
}

// ---- reading

// An object whose members are asked for one by one; the first that is not as it should be makes the
// whole an error.
class Reader {
 public:
  explicit Reader(std::string_view text) : value_(json::parse(text, nullptr, false)) {
    if (!value_.is_object()) fail_at("the text", "it is no JSON object");
  }

  template <class T>
  void read(const char* key, T& into) {
    if (const json* found = member(value_, key, true)) take(*found, key, into);
  }
  template <class T>
  void read_if_there(const char* key, T& into) {
    if (const json* found = member(value_, key, false)) take(*found, key, into);
  }
  template <class T, class Fill>
  void read_each(const char* key, std::vector<T>& into, Fill fill) {
    const json* found = member(value_, key, true);
    if (found == nullptr) return;
    if (!found->is_array()) return fail_at(key, "it is no array");
    for (const auto& element : *found) {
      Reader inner(element, error_);
      fill(inner, into.emplace_back());
    }
  }
  template <class T, class Fill>
  void read_object(const char* key, std::optional<T>& into, Fill fill) {
    const json* found = member(value_, key, false);
    if (found == nullptr) return;
    Reader inner(*found, error_);
    fill(inner, into.emplace());
  }
  template <class Enum, std::size_t N>
  void read_word(const char* key, const std::array<std::string_view, N>& names, Enum& into) {
    std::string word;
    read(key, word);
    auto found = find<Enum>(names, word);
    if (!found) return fail_at(key, "its value is not known");
    into = *found;
  }
  void fail_at(const char* key, const char* reason) {
    if (!*error_) *error_ = Error("read", key, reason, "", ErrorKind::kInvalid);
  }

  template <class T>
  Result<T> finish(T value) {
    if (*error_) return std::unexpected(std::move(**error_));
    return value;
  }

 private:
  Reader(const json& value, std::shared_ptr<std::optional<Error>> error)
      : value_(value), error_(std::move(error)) {
    if (!value_.is_object()) fail_at("an element", "it is no JSON object");
  }

  const json* member(const json& of, const char* key, bool needed) {
    if (!of.is_object()) return nullptr;
    auto found = of.find(key);
    if (found != of.end()) return &*found;
    if (needed) fail_at(key, "it is missing");
    return nullptr;
  }
  void take(const json& value, const char* key, std::string& into) {
    if (!value.is_string()) return fail_at(key, "it is no string");
    into = value.get<std::string>();
  }
  void take(const json& value, const char* key, bool& into) {
    if (!value.is_boolean()) return fail_at(key, "it is no boolean");
    into = value.get<bool>();
  }
  template <class T>
    requires std::is_unsigned_v<T>
  void take(const json& value, const char* key, T& into) {
    if (!value.is_number_unsigned() || value.get<std::uint64_t>() > std::numeric_limits<T>::max())
      return fail_at(key, "it is no number that fits");
    into = value.get<T>();
  }
  void take(const json& value, const char* key, std::vector<std::string>& into) {
    if (!value.is_array()) return fail_at(key, "it is no array");
    for (const auto& element : value) take(element, key, into.emplace_back());
  }
  void take(const json& value, const char* key, std::map<std::string, std::string>& into) {
    if (!value.is_object()) return fail_at(key, "it is no object");
    for (const auto& [name, text] : value.items()) take(text, key, into[name]);
  }

  json value_;
  std::shared_ptr<std::optional<Error>> error_ = std::make_shared<std::optional<Error>>();
};

Error read_error(Reader& reader) {
  std::string attempted;
  std::string subject;
  std::string reason;
  std::string advice;
  ErrorKind kind = ErrorKind::kOther;
  reader.read("attempted", attempted);
  reader.read("subject", subject);
  reader.read("reason", reason);
  reader.read("advice", advice);
  reader.read_word("kind", kErrors, kind);
  return {attempted, subject, reason, advice, kind};
}

void read_guest(Reader& reader, Guest& guest) {
  reader.read("kernel_release", guest.kernel_release);
  reader.read("started_us", guest.started_us);
  reader.read("arrived_us", guest.arrived_us);
  reader.read("uptime_us", guest.uptime_us);
  reader.read_each("steps", guest.steps, [](Reader& each, BootStep& step) {
    each.read("name", step.name);
    each.read("start_us", step.start_us);
    each.read("duration_us", step.duration_us);
  });
  reader.read_each("entries", guest.entries, [](Reader& each, DeployedEntry& entry) {
    each.read("name", entry.name);
    each.read_word("origin", kOriginNames, entry.origin);
    std::string hex;
    each.read_if_there("sha256", hex);
    if (hex.empty()) return;
    auto digest = Digest::parse(hex);
    if (!digest) return each.fail_at("sha256", "it is no SHA-256");
    entry.sha256 = *digest;
  });
}

void read_start(Reader& reader, Start& start) {
  reader.read("accelerator", start.accelerator);
  reader.read("memory_bytes", start.memory_bytes);
  reader.read("cpus", start.cpus);
  reader.read("boot_limit_ms", start.boot_limit_ms);
  reader.read("hostname", start.hostname);
  reader.read("cache_directory", start.cache_directory);
  reader.read_object("disk", start.disk, [](Reader& inner, Disk& disk) {
    inner.read("size_bytes", disk.size_bytes);
    inner.read("uuid", disk.uuid);
  });
}

}  // namespace

std::string_view name(State state) {
  return name_in(kStates, state);
}

std::string_view name(EndKind kind) {
  return name_in(kEnds, kind);
}

std::string_view name(RecordedState state) {
  return name_in(kRecordedStates, state);
}

std::string_view name(EventKind kind) {
  return name_in(kEvents, kind);
}

std::optional<State> parse_state(std::string_view word) {
  return find<State>(kStates, word);
}

std::string to_json(const Vm& vm) {
  json timeline = json::array();
  for (const auto& span : vm.timeline)
    timeline.push_back({{"name", span.name}, {"begin_us", span.begin_us}, {"end_us", span.end_us}});
  json value = {{"state", name(vm.state)},
                {"environment", vm.environment},
                {"timeline", std::move(timeline)}};
  if (vm.accelerator)
    value["accelerator"] = {{"name", vm.accelerator->name},
                            {"reason", vm.accelerator->reason},
                            {"fresh", vm.accelerator->fresh}};
  if (vm.guest) value["guest"] = object(*vm.guest);
  if (vm.end) {
    value["end"] = {{"kind", name(vm.end->kind)}};
    if (vm.end->error) value["end"]["error"] = object(*vm.end->error);
  }
  return json_text(value);
}

std::string to_json(const Event& event) {
  return json_text(json{{"sequence", event.sequence},
                        {"dropped", event.dropped},
                        {"at_us", event.at_us},
                        {"kind", name(event.kind)},
                        {"text", event.text}});
}

std::string to_json(const std::vector<Denial>& denials) {
  json all = json::array();
  for (const auto& denial : denials)
    all.push_back({{"what", denial.what},
                   {"reason", denial.reason},
                   {"option", denial.option},
                   {"rule", denial.rule},
                   {"executable", denial.executable},
                   {"count", denial.count}});
  return json_text(json{{"denials", std::move(all)}});
}

std::string to_json(const Question& question) {
  return json_text(json{{"id", question.id},
                        {"what", question.what},
                        {"executable", question.executable},
                        {"rule", question.rule}});
}

std::string to_json(const Answer& answer) {
  return json_text(json{{"id", answer.id}, {"allowed", answer.allowed}});
}

std::string to_json(const Failure& failure) {
  return json_text(json{{"error", object(failure.error)}, {"console", failure.console}});
}

std::string to_json(const Stop& stop) {
  return json_text(json{{"grace_ms", stop.grace_ms}});
}

std::string to_json(const Start& start) {
  return json_text(object(start));
}

std::string to_json(const LogLine& line) {
  return json_text(json{{"at_ms", line.at_ms}, {"kind", line.kind}, {"text", line.text}});
}

std::string to_json(const VmRecord& record) {
  return json_text(json{{"created_at", record.created_at},
                        {"start", object(record.start)},
                        {"state", name(record.state)},
                        {"changed_at", record.changed_at},
                        {"reason", record.reason},
                        {"boot_id", record.boot_id}},
                   1);
}

Result<Vm> parse_vm(std::string_view text) {
  Reader reader(text);
  Vm vm;
  reader.read_word("state", kStates, vm.state);
  reader.read_object("accelerator", vm.accelerator, [](Reader& inner, Accelerator& accelerator) {
    inner.read("name", accelerator.name);
    inner.read("reason", accelerator.reason);
    inner.read("fresh", accelerator.fresh);
  });
  reader.read_each("timeline", vm.timeline, [](Reader& each, Span& span) {
    each.read("name", span.name);
    each.read("begin_us", span.begin_us);
    each.read("end_us", span.end_us);
  });
  reader.read_object("guest", vm.guest, read_guest);
  reader.read_object("end", vm.end, [](Reader& inner, End& end) {
    inner.read_word("kind", kEnds, end.kind);
    std::optional<std::monostate> there;
    inner.read_object("error", there,
                      [&](Reader& error, std::monostate&) { end.error = read_error(error); });
  });
  reader.read("environment", vm.environment);
  return reader.finish(std::move(vm));
}

Result<Event> parse_event(std::string_view text) {
  Reader reader(text);
  Event event;
  reader.read("sequence", event.sequence);
  reader.read("dropped", event.dropped);
  reader.read("at_us", event.at_us);
  reader.read_word("kind", kEvents, event.kind);
  reader.read("text", event.text);
  return reader.finish(std::move(event));
}

Result<std::vector<Denial>> parse_denials(std::string_view text) {
  Reader reader(text);
  std::vector<Denial> denials;
  reader.read_each("denials", denials, [](Reader& each, Denial& denial) {
    each.read("what", denial.what);
    each.read("reason", denial.reason);
    each.read("option", denial.option);
    each.read("rule", denial.rule);
    each.read("executable", denial.executable);
    each.read("count", denial.count);
  });
  return reader.finish(std::move(denials));
}

Result<Question> parse_question(std::string_view text) {
  Reader reader(text);
  Question question;
  reader.read("id", question.id);
  reader.read("what", question.what);
  reader.read("executable", question.executable);
  reader.read("rule", question.rule);
  return reader.finish(std::move(question));
}

Result<Answer> parse_answer(std::string_view text) {
  Reader reader(text);
  Answer answer;
  reader.read("id", answer.id);
  reader.read("allowed", answer.allowed);
  return reader.finish(answer);
}

Result<Failure> parse_failure(std::string_view text) {
  Reader reader(text);
  std::optional<Error> error;
  std::optional<std::monostate> there;
  reader.read_object("error", there,
                     [&](Reader& inner, std::monostate&) { error = read_error(inner); });
  if (!error) reader.fail_at("error", "it is missing");
  std::vector<std::string> console;
  reader.read("console", console);
  if (!error) error.emplace("", "", "");
  return reader.finish(Failure{std::move(*error), std::move(console)});
}

Result<Stop> parse_stop(std::string_view text) {
  Reader reader(text);
  Stop stop;
  reader.read_if_there("grace_ms", stop.grace_ms);
  if (stop.grace_ms > Stop::kMaxGraceMs) reader.fail_at("grace_ms", "it is more than an hour");
  return reader.finish(stop);
}

Result<Start> parse_start(std::string_view text) {
  Reader reader(text);
  Start start;
  read_start(reader, start);
  return reader.finish(std::move(start));
}

Result<LogLine> parse_log_line(std::string_view text) {
  Reader reader(text);
  LogLine line;
  reader.read("at_ms", line.at_ms);
  reader.read("kind", line.kind);
  reader.read("text", line.text);
  return reader.finish(std::move(line));
}

Result<VmRecord> parse_vm_record(std::string_view text) {
  Reader reader(text);
  VmRecord record;
  reader.read("created_at", record.created_at);
  std::optional<Start> start;
  reader.read_object("start", start, read_start);
  if (start)
    record.start = std::move(*start);
  else
    reader.fail_at("start", "it is missing");
  reader.read_word("state", kRecordedStates, record.state);
  reader.read("changed_at", record.changed_at);
  reader.read("reason", record.reason);
  reader.read("boot_id", record.boot_id);
  return reader.finish(std::move(record));
}

}  // namespace capsem::api
