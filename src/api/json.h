// The structs of types.h as JSON text and back. Writing never fails: bytes that are no UTF-8 become
// U+FFFD. Reading takes nothing for granted: an error (kInvalid) names the member that is missing
// or of another type; members that are not known are passed over.
#pragma once

#include <string>
#include <string_view>

#include "api/types.h"
#include "base/error.h"

namespace capsem::api {

std::string_view name(State state);     // starting, running, stopping, ended
std::string_view name(EndKind kind);    // stopped, powered-off, rebooted, failed
std::string_view name(EventKind kind);  // state, service, warning, denied
std::optional<State> parse_state(std::string_view word);

std::string to_json(const Vm& vm);
std::string to_json(const Event& event);
std::string to_json(const std::vector<Denial>& denials);
std::string to_json(const Question& question);
std::string to_json(const Answer& answer);
std::string to_json(const Failure& failure);
std::string to_json(const Stop& stop);
std::string to_json(const Start& start);

Result<Vm> parse_vm(std::string_view text);
Result<Event> parse_event(std::string_view text);
Result<std::vector<Denial>> parse_denials(std::string_view text);
Result<Question> parse_question(std::string_view text);
Result<Answer> parse_answer(std::string_view text);
Result<Failure> parse_failure(std::string_view text);
Result<Stop> parse_stop(std::string_view text);
Result<Start> parse_start(std::string_view text);

}  // namespace capsem::api
