#include "guest/init/bpf.h"

#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "base/text.h"

namespace capsem::guest::init::bpf {
namespace {

constexpr std::size_t kLogBytes = 16 << 10;

int call_kernel(bpf_cmd command, bpf_attr& attributes) {
  return static_cast<int>(::syscall(SYS_bpf, command, &attributes, sizeof attributes));
}

std::uint64_t address(const void* pointer) {
  return reinterpret_cast<std::uintptr_t>(pointer);
}

}  // namespace

Result<Fd> make_map(const MapKind& kind) {
  bpf_attr attributes{};
  attributes.map_type = kind.type;
  attributes.key_size = kind.key_bytes;
  attributes.value_size = kind.value_bytes;
  attributes.max_entries = kind.entries;
  Fd map(call_kernel(BPF_MAP_CREATE, attributes));
  if (!map) return fail_system("make", "a BPF map", errno);
  return map;
}

Result<> put_socket(const Fd& map, std::uint32_t key, const Fd& socket) {
  auto value = static_cast<std::uint64_t>(socket.get());
  bpf_attr attributes{};
  attributes.map_fd = static_cast<std::uint32_t>(map.get());
  attributes.key = address(&key);
  attributes.value = address(&value);
  if (call_kernel(BPF_MAP_UPDATE_ELEM, attributes) != 0)
    return fail_system("put a socket into", "a BPF map", errno);
  return {};
}

Result<Fd> load(bpf_prog_type type, bpf_attach_type attachment,
                std::span<const bpf_insn> instructions, const std::string& name) {
  constexpr const char* kLicense = "GPL";
  bpf_attr attributes{};
  attributes.prog_type = type;
  attributes.expected_attach_type = attachment;
  attributes.insns = address(instructions.data());
  attributes.insn_cnt = static_cast<std::uint32_t>(instructions.size());
  attributes.license = address(kLicense);
  Fd program(call_kernel(BPF_PROG_LOAD, attributes));
  if (program) return program;
  int error = errno;
  // A second time for the reason, which costs the verifier more than its work.
  std::string log(kLogBytes, '\0');
  attributes.log_buf = address(log.data());
  attributes.log_size = kLogBytes;
  attributes.log_level = 1;
  Fd unexpected(call_kernel(BPF_PROG_LOAD, attributes));
  auto said = trim(std::string_view(log.c_str()));
  auto last = said.substr(said.rfind('\n') + 1);
  return fail_system("load the BPF program", name + " (" + printable(last) + ")", error);
}

Result<Fd> attach(const Fd& program, const Fd& target, bpf_attach_type attachment,
                  const std::string& name) {
  bpf_attr attributes{};
  attributes.link_create.prog_fd = static_cast<std::uint32_t>(program.get());
  attributes.link_create.target_fd = static_cast<std::uint32_t>(target.get());
  attributes.link_create.attach_type = attachment;
  Fd link(call_kernel(BPF_LINK_CREATE, attributes));
  if (!link) return fail_system("attach the BPF program", name, errno);
  return link;
}

void Assembler::emit(std::uint8_t code, std::uint8_t to, std::uint8_t from, std::int16_t offset,
                     std::int32_t value) {
  bpf_insn instruction{};
  instruction.code = code;
  instruction.dst_reg = to & 0xf;
  instruction.src_reg = from & 0xf;
  instruction.off = offset;
  instruction.imm = value;
  instructions_.push_back(instruction);
}

void Assembler::set(std::uint8_t to, std::int32_t value) {
  emit(BPF_ALU64 | BPF_MOV | BPF_K, to, 0, 0, value);
}

void Assembler::copy(std::uint8_t to, std::uint8_t from) {
  emit(BPF_ALU64 | BPF_MOV | BPF_X, to, from, 0, 0);
}

void Assembler::add(std::uint8_t to, std::int32_t value) {
  emit(BPF_ALU64 | BPF_ADD | BPF_K, to, 0, 0, value);
}

void Assembler::keep_bits(std::uint8_t to, std::int32_t mask) {
  emit(BPF_ALU64 | BPF_AND | BPF_K, to, 0, 0, mask);
}

void Assembler::shift_right(std::uint8_t to, std::int32_t bits) {
  emit(BPF_ALU64 | BPF_RSH | BPF_K, to, 0, 0, bits);
}

void Assembler::load(std::uint8_t to, std::uint8_t base, std::size_t offset) {
  emit(BPF_LDX | BPF_MEM | BPF_W, to, base, static_cast<std::int16_t>(offset), 0);
}

void Assembler::store(std::uint8_t base, std::int16_t offset, std::uint8_t from,
                      std::uint8_t bytes) {
  emit(BPF_STX | BPF_MEM | (bytes == 8 ? BPF_DW : BPF_W), base, from, offset, 0);
}

// Two instructions make one 64-bit constant.
void Assembler::address_of(std::uint8_t to, const Fd& map) {
  emit(BPF_LD | BPF_DW | BPF_IMM, to, BPF_PSEUDO_MAP_FD, 0, map.get());
  emit(0, 0, 0, 0, 0);
}

void Assembler::stack_address(std::uint8_t to, std::int16_t offset) {
  copy(to, kStack);
  add(to, offset);
}

void Assembler::call(bpf_func_id function) {
  emit(BPF_JMP | BPF_CALL, 0, 0, 0, function);
}

void Assembler::finish(std::int32_t result) {
  set(0, result);
  emit(BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

Assembler::Label Assembler::label() {
  places_.push_back(0);
  return places_.size() - 1;
}

void Assembler::place(Label label) {
  places_.at(label) = instructions_.size();
}

void Assembler::jump(Label to) {
  jumps_.push_back({instructions_.size(), to});
  emit(BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void Assembler::jump_if_equal(std::uint8_t value, std::int32_t other, Label to) {
  jumps_.push_back({instructions_.size(), to});
  emit(BPF_JMP | BPF_JEQ | BPF_K, value, 0, 0, other);
}

void Assembler::jump_if_not_equal(std::uint8_t value, std::int32_t other, Label to) {
  jumps_.push_back({instructions_.size(), to});
  emit(BPF_JMP | BPF_JNE | BPF_K, value, 0, 0, other);
}

std::vector<bpf_insn> Assembler::take() {
  for (const auto& jump : jumps_) {
    auto distance = places_.at(jump.to) - jump.at - 1;
    instructions_[jump.at].off = static_cast<std::int16_t>(distance);
  }
  return std::move(instructions_);
}

}  // namespace capsem::guest::init::bpf
