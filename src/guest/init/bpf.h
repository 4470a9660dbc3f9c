// Programs for the kernel's BPF machine: its maps, its instructions, and what they are attached to.
// bpf(2); Documentation/bpf/instruction-set.rst
#pragma once

#include <linux/bpf.h>

#include <cstdint>
#include <span>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/fd.h"

namespace capsem::guest::init::bpf {

struct MapKind {
  bpf_map_type type;
  std::uint32_t key_bytes;
  std::uint32_t value_bytes;
  std::uint32_t entries;
};
Result<Fd> make_map(const MapKind& kind);
// A socket map holds sockets by the number of their descriptors.
Result<> put_socket(const Fd& map, std::uint32_t key, const Fd& socket);

// Loads the program; the verifier's last words are in the error when it refuses.
Result<Fd> load(bpf_prog_type type, bpf_attach_type attachment,
                std::span<const bpf_insn> instructions, const std::string& name);

// Has a program run at `attachment` of a network namespace or control group, until what is returned
// is closed.
Result<Fd> attach(const Fd& program, const Fd& target, bpf_attach_type attachment,
                  const std::string& name);

// Instructions, put together one after the other. Registers are 0 to 10.
class Assembler {
 public:
  static constexpr std::uint8_t kStack = 10;  // the frame pointer; the stack lies below it

  void set(std::uint8_t to, std::int32_t value);       // to = value
  void copy(std::uint8_t to, std::uint8_t from);       // to = from
  void add(std::uint8_t to, std::int32_t value);       // to += value
  void keep_bits(std::uint8_t to, std::int32_t mask);  // to &= mask
  void shift_right(std::uint8_t to, std::int32_t bits);
  void load(std::uint8_t to, std::uint8_t base, std::size_t offset);  // 32 bits
  void store(std::uint8_t base, std::int16_t offset, std::uint8_t from, std::uint8_t bytes);
  void address_of(std::uint8_t to, const Fd& map);
  void stack_address(std::uint8_t to, std::int16_t offset);
  void call(bpf_func_id function);
  void finish(std::int32_t result);  // return result

  // A place to jump to, put where the next instruction will be.
  using Label = std::size_t;
  Label label();
  void place(Label label);
  void jump(Label to);
  void jump_if_equal(std::uint8_t value, std::int32_t other, Label to);
  void jump_if_not_equal(std::uint8_t value, std::int32_t other, Label to);

  // The program, with every jump filled in.
  std::vector<bpf_insn> take();

 private:
  struct Jump {
    std::size_t at;
    Label to;
  };
  void emit(std::uint8_t code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
            std::int32_t value);

  std::vector<bpf_insn> instructions_;
  std::vector<std::size_t> places_;  // by label
  std::vector<Jump> jumps_;
};

}  // namespace capsem::guest::init::bpf
