#include "client/screen_modes.h"

#include <algorithm>
#include <string_view>

namespace capsem::client {
namespace {

// The ways in which a mode is changed (xterm's ctlseqs).
enum class Kind {
  kPrivate,  // DECSET and DECRST: ESC [ ? NUMBER h, and l
  kOther,    // told apart in the code
};

struct Mode {
  Kind kind;
  std::uint32_t number;   // of kPrivate
  bool normally_on;       // what is to be undone is that it was turned off
  std::string_view undo;  // in the order of the rows: the screen last, what is set on it first
};

constexpr std::array kModes = {
    Mode{Kind::kOther, 0, false, "\x1b[0m"},     // SGR: colours and attributes
    Mode{Kind::kOther, 1, false, "\x1b(B\x0f"},  // a character set of line drawing
    Mode{Kind::kOther, 2, false, "\x1b>"},       // DECKPAM, application keypad
    Mode{Kind::kOther, 3, false, "\x1b[4l"},     // IRM, insert mode
    Mode{Kind::kOther, 4, false, "\x1b[0 q"},    // DECSCUSR, the cursor's shape
    Mode{Kind::kOther, 5, false, "\x1b[>4m"},    // XTMODKEYS, modifyOtherKeys
    Mode{Kind::kOther, 6, false,
         "\x1b"
         "7\x1b[r\x1b"
         "8"},                                         // DECSTBM, which moves the cursor
    Mode{Kind::kPrivate, 1, false, "\x1b[?1l"},        // DECCKM, application cursor keys
    Mode{Kind::kPrivate, 5, false, "\x1b[?5l"},        // DECSCNM, reverse video
    Mode{Kind::kPrivate, 6, false, "\x1b[?6l"},        // DECOM, origin
    Mode{Kind::kPrivate, 7, true, "\x1b[?7h"},         // DECAWM, lines wrap
    Mode{Kind::kPrivate, 9, false, "\x1b[?9l"},        // the mouse, in X10's way
    Mode{Kind::kPrivate, 25, true, "\x1b[?25h"},       // DECTCEM, the cursor is shown
    Mode{Kind::kPrivate, 66, false, "\x1b[?66l"},      // DECNKM, application keypad
    Mode{Kind::kPrivate, 1000, false, "\x1b[?1000l"},  // mouse buttons
    Mode{Kind::kPrivate, 1001, false, "\x1b[?1001l"},  // highlighting
    Mode{Kind::kPrivate, 1002, false, "\x1b[?1002l"},  // motion with a button
    Mode{Kind::kPrivate, 1003, false, "\x1b[?1003l"},  // any motion
    Mode{Kind::kPrivate, 1004, false, "\x1b[?1004l"},  // focus
    Mode{Kind::kPrivate, 1005, false, "\x1b[?1005l"},  // and how the mouse is reported
    Mode{Kind::kPrivate, 1006, false, "\x1b[?1006l"},
    Mode{Kind::kPrivate, 1015, false, "\x1b[?1015l"},
    Mode{Kind::kPrivate, 1016, false, "\x1b[?1016l"},
    Mode{Kind::kPrivate, 2004, false, "\x1b[?2004l"},  // bracketed paste
    Mode{Kind::kPrivate, 2026, false, "\x1b[?2026l"},  // synchronized output
    Mode{Kind::kPrivate, 47, false, "\x1b[?47l"},      // the alternate screen
    Mode{Kind::kPrivate, 1047, false, "\x1b[?1047l"},
    Mode{Kind::kPrivate, 1049, false, "\x1b[?1049l"},
};
static_assert(kModes.size() <= 32);

constexpr std::uint32_t bit(std::size_t row) {
  return std::uint32_t{1} << row;
}

// The rows of Kind::kOther.
constexpr std::uint32_t kColours = bit(0);
constexpr std::uint32_t kCharset = bit(1);
constexpr std::uint32_t kKeypad = bit(2);
constexpr std::uint32_t kInsert = bit(3);
constexpr std::uint32_t kCursorShape = bit(4);
constexpr std::uint32_t kModifiedKeys = bit(5);
constexpr std::uint32_t kScrollRegion = bit(6);
constexpr std::size_t kOthers = 7;
static_assert(kModes.at(kOthers - 1).kind == Kind::kOther &&
              kModes.at(kOthers).kind == Kind::kPrivate);

// SGR: which numbers turn an attribute on, and which one turns it off.
struct Attribute {
  std::uint32_t first_on;
  std::uint32_t last_on;
  std::uint32_t off;
};

constexpr std::array kAttributes = {
    Attribute{1, 2, 22},   Attribute{3, 3, 23},   Attribute{4, 4, 24},   Attribute{21, 21, 24},
    Attribute{5, 6, 25},   Attribute{7, 7, 27},   Attribute{8, 8, 28},   Attribute{9, 9, 29},
    Attribute{30, 38, 39}, Attribute{90, 97, 39}, Attribute{40, 48, 49}, Attribute{100, 107, 49},
    Attribute{51, 52, 54}, Attribute{53, 53, 55}, Attribute{58, 58, 59},
};
static_assert(kAttributes.size() <= 32);

constexpr std::string_view kPopKeyboard = "\x1b[<99u";  // as many entries as there are
constexpr char kEscape = 0x1b;
constexpr char kCancel = 0x18;  // CAN ends any sequence
constexpr char kSubstitute = 0x1a;
constexpr char kBell = 0x07;
constexpr char kShiftOut = 0x0e;
constexpr char kShiftIn = 0x0f;
constexpr std::uint32_t kMaxNumber = 99'999;
constexpr std::uint32_t kMaxDepth = 99;

}  // namespace

ScreenState ScreenState::operator|(const ScreenState& other) const {
  return {.modes = modes | other.modes,
          .keyboard_depth = std::max(keyboard_depth, other.keyboard_depth),
          .in_sequence = in_sequence || other.in_sequence};
}

std::size_t restore_sequence(const ScreenState& state, std::span<char, kMaxRestoreBytes> buffer) {
  std::size_t size = 0;
  auto add = [&](std::string_view text) {
    if (text.size() > buffer.size() - size) return;
    std::ranges::copy(text, buffer.begin() + static_cast<std::ptrdiff_t>(size));
    size += text.size();
  };
  if (state.in_sequence) add(std::string_view(&kCancel, 1));
  if (state.keyboard_depth > 0) add(kPopKeyboard);
  for (std::size_t row = 0; row < kModes.size(); ++row)
    if ((state.modes & bit(row)) != 0) add(kModes.at(row).undo);
  return size;
}

void ScreenModes::read(std::span<const std::byte> output) {
  for (std::byte byte : output) read_byte(static_cast<unsigned char>(byte));
  state_.in_sequence = where_ != Where::kText;
}

void ScreenModes::read_byte(unsigned char byte) {
  if (byte == kEscape) {
    where_ = where_ == Where::kString ? Where::kStringEscape : Where::kEscape;
    return;
  }
  if (byte == kCancel || byte == kSubstitute) {
    where_ = Where::kText;
    return;
  }
  switch (where_) {
    case Where::kText:
      if (byte == kShiftOut) set(kCharset, true);
      if (byte == kShiftIn) set(kCharset, false);
      return;
    case Where::kEscape:
      return read_escape(byte);
    case Where::kCharset:
      if (byte >= 0x30) where_ = Where::kText;
      set(kCharset, byte != 'B');
      return;
    case Where::kControl:
      return read_control(byte);
    case Where::kString:
      if (byte == kBell) where_ = Where::kText;
      return;
    case Where::kStringEscape:
      // "ESC \" ends the string, and so does any other sequence, which it is the beginning of.
      if (byte == '\\')
        where_ = Where::kText;
      else
        read_escape(byte);
      return;
  }
}

void ScreenModes::read_escape(unsigned char byte) {
  where_ = Where::kText;
  if (byte == '[') {
    where_ = Where::kControl;
    numbers_.fill(0);
    follows_colon_.fill(false);
    count_ = 0;
    mark_ = 0;
    intermediate_ = 0;
  } else if (byte == '(') {
    where_ = Where::kCharset;
  } else if (std::string_view("]P_^X").find(static_cast<char>(byte)) != std::string_view::npos) {
    where_ = Where::kString;  // OSC, DCS, APC, PM, SOS
  } else if (byte == '=' || byte == '>') {
    set(kKeypad, byte == '=');
  } else if (byte == 'c') {
    state_ = {};  // RIS, a full reset
    attributes_ = 0;
  }
}

void ScreenModes::read_control(unsigned char byte) {
  if (byte < 0x20) return;  // obeyed by the terminal in the middle of a sequence
  if (byte >= 0x40) {
    where_ = Where::kText;
    if (byte < 0x7f) finish_control(byte);
    return;
  }
  if (byte >= 0x3c) {
    mark_ = static_cast<char>(byte);
  } else if (byte < 0x30) {
    intermediate_ = static_cast<char>(byte);
  } else if (byte == ';' || byte == ':') {
    count_ = std::min(std::max<std::size_t>(count_, 1) + 1, kMaxNumbers);
    follows_colon_.at(count_ - 1) = byte == ':';
  } else {
    count_ = std::max<std::size_t>(count_, 1);
    auto& number = numbers_.at(count_ - 1);
    number = std::min(number * 10 + (byte - '0'), kMaxNumber);
  }
}

void ScreenModes::finish_control(unsigned char final) {
  const auto given = std::span(numbers_).first(count_);
  const auto first = numbers_.front();
  if (mark_ == '?' && intermediate_ == 0 && (final == 'h' || final == 'l'))
    return set_private_modes(final == 'h');
  if (final == 'm' && mark_ == '>' && first == 4)
    return set(kModifiedKeys, count_ > 1 && numbers_.at(1) != 0);
  if (final == 'u' && mark_ == '>')
    state_.keyboard_depth = std::min(state_.keyboard_depth + 1, kMaxDepth);
  if (final == 'u' && mark_ == '<')
    state_.keyboard_depth -= std::min(state_.keyboard_depth, std::max<std::uint32_t>(first, 1));
  if (final == 'q' && intermediate_ == ' ') set(kCursorShape, first != 0);
  if (mark_ != 0 || intermediate_ != 0) return;
  if (final == 'm') set_attributes();
  if (final == 'r') set(kScrollRegion, count_ > 0);
  if ((final == 'h' || final == 'l') && std::ranges::find(given, 4U) != given.end())
    set(kInsert, final == 'h');
}

void ScreenModes::set_attributes() {
  if (count_ == 0) attributes_ = 0;
  for (std::size_t i = 0; i < count_; ++i) {
    const auto number = numbers_.at(i);
    if (follows_colon_.at(i)) continue;
    if (number == 0) attributes_ = 0;
    for (std::size_t row = 0; row < kAttributes.size(); ++row) {
      const Attribute& attribute = kAttributes.at(row);
      if (number >= attribute.first_on && number <= attribute.last_on) attributes_ |= bit(row);
      if (number == attribute.off) attributes_ &= ~bit(row);
    }
    // 38;5;INDEX or 38;2;RED;GREEN;BLUE: what follows is no attribute.
    bool is_colour = number == 38 || number == 48 || number == 58;
    if (is_colour && i + 1 < count_ && !follows_colon_.at(i + 1))
      i += numbers_.at(i + 1) == 2 ? 4 : 2;
  }
  set(kColours, attributes_ != 0);
}

void ScreenModes::set_private_modes(bool on) {
  for (auto number : std::span(numbers_).first(count_))
    for (std::size_t row = 0; row < kModes.size(); ++row) {
      const Mode& mode = kModes.at(row);
      if (mode.kind == Kind::kPrivate && mode.number == number)
        set(bit(row), on != mode.normally_on);
    }
}

}  // namespace capsem::client
