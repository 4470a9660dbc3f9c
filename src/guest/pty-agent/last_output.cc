#include "guest/pty-agent/last_output.h"

#include <algorithm>

namespace capsem::guest::pty_agent {
namespace {

constexpr char kEscape = '\x1b';
constexpr char kBell = '\x07';
constexpr char kEnquiry = '\x05';  // ENQ: the terminal answers with its name
constexpr auto kNone = std::string_view::npos;

// The control strings of ECMA-48, which have an end of their own.
constexpr std::string_view kStringBegins = "P]X^_";

bool is_continuation(char byte) {
  return (static_cast<unsigned char>(byte) & 0xc0) == 0x80;
}

// The size of the sequence at the beginning of `text`, which an ESC begins; kNone when its end is
// not there.
std::size_t sequence_size(std::string_view text) {
  if (text.size() < 2) return kNone;
  if (text[1] == '[') {
    auto end = std::ranges::find_if(text.substr(2), [](char c) { return c >= '@' && c <= '~'; });
    return end == text.end() ? kNone : static_cast<std::size_t>(end - text.begin()) + 1;
  }
  if (!kStringBegins.contains(text[1])) return 2;
  for (std::size_t i = 2; i < text.size(); ++i) {
    if (text[i] == kBell) return i + 1;
    if (text[i] == kEscape) return i + 1 < text.size() ? i + 2 : kNone;
  }
  return kNone;
}

// As xterm's ctlseqs.txt has them.
bool is_question(std::string_view sequence) {
  char kind = sequence[1];
  if (kind == 'Z') return true;                    // DECID
  if (kind == 'P') return true;                    // DECRQSS, XTGETTCAP
  if (kind == ']') return sequence.contains('?');  // OSC 4, 10, 52 ...
  if (kind != '[') return false;
  char last = sequence.back();
  if (last == 'c' || last == 'n' || last == 'x') return true;  // DA, DSR, DECREQTPARM
  if (last == 't') return true;                                // XTWINOPS
  if (last == 'p') return sequence.contains('$');              // DECRQM
  if (last == 'q') return sequence[2] == '>';                  // XTVERSION
  return last == 'u' && sequence[2] == '?';                    // kitty's keyboard
}

}  // namespace

void LastOutput::add(std::string_view output) {
  held_ += output;
  if (held_.size() <= 2 * kLastOutputBytes) return;
  held_.erase(0, held_.size() - kLastOutputBytes);
  cut_ = true;
}

std::string LastOutput::text() const {
  std::string_view last = held_;
  bool cut = cut_;
  if (last.size() > kLastOutputBytes) {
    last.remove_prefix(last.size() - kLastOutputBytes);
    cut = true;
  }
  if (cut) {
    auto line = last.find('\n');
    if (line != kNone && line + 1 < last.size()) {
      last.remove_prefix(line + 1);
    } else {
      while (!last.empty() && is_continuation(last.front())) last.remove_prefix(1);
    }
  }
  return without_questions(last);
}

std::string without_questions(std::string_view output) {
  std::string kept;
  while (!output.empty()) {
    auto text = output.substr(0, output.find_first_of("\x1b\x05"));
    kept += text;
    output.remove_prefix(text.size());
    if (output.empty()) break;
    if (output.front() == kEnquiry) {
      output.remove_prefix(1);
      continue;
    }
    auto size = sequence_size(output);
    if (size == kNone) return kept += output;
    auto sequence = output.substr(0, size);
    if (!is_question(sequence)) kept += sequence;
    output.remove_prefix(size);
  }
  return kept;
}

}  // namespace capsem::guest::pty_agent
