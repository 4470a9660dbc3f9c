// What the guest's programs have turned on in the user's terminal emulator: the alternate screen,
// mouse reports, bracketed paste, a hidden cursor and so on. Read from the output on its way to
// the terminal, so that what a program left on when its session broke off can be turned off. In
// memory of a fixed size, and read with no call that a process after fork(2) may not make.
#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

namespace capsem::client {

// What differs from a terminal as a shell expects it. Plain data: TerminalGuard shares it between
// two processes.
struct ScreenState {
  std::uint32_t modes = 0;           // a bit a row of kModes in the .cc file
  std::uint32_t keyboard_depth = 0;  // kitty's keyboard protocol: entries pushed
  bool in_sequence = false;          // the output ended in the middle of a control sequence

  // Both together: on a terminal that may be in the one state or in the other.
  ScreenState operator|(const ScreenState& other) const;
  bool operator==(const ScreenState&) const = default;
};

inline constexpr std::size_t kMaxRestoreBytes = 512;

// Writes the bytes that put a terminal in `state` right to `buffer` and returns how many they are;
// none when there is nothing to put right.
std::size_t restore_sequence(const ScreenState& state, std::span<char, kMaxRestoreBytes> buffer);

class ScreenModes {
 public:
  // More of the output.
  void read(std::span<const std::byte> output);

  const ScreenState& state() const { return state_; }

 private:
  enum class Where { kText, kEscape, kCharset, kControl, kString, kStringEscape };
  static constexpr std::size_t kMaxNumbers = 16;

  void read_byte(unsigned char byte);
  void read_escape(unsigned char byte);
  void read_control(unsigned char byte);
  void finish_control(unsigned char final);
  void set_private_modes(bool on);
  void set_attributes();
  void set(std::uint32_t bits, bool on) {
    state_.modes = on ? state_.modes | bits : state_.modes & ~bits;
  }

  ScreenState state_;
  Where where_ = Where::kText;
  std::array<std::uint32_t, kMaxNumbers> numbers_{};
  std::array<bool, kMaxNumbers> follows_colon_{};  // the number details the one before it
  std::size_t count_ = 0;                          // of numbers_ begun
  std::uint32_t attributes_ = 0;                   // a bit a row of kAttributes
  char mark_ = 0;                                  // '?', '>', '<', '=' behind the "ESC ["
  char intermediate_ = 0;                          // ' ', '!' before the last byte
};

}  // namespace capsem::client
