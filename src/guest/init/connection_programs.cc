#include "guest/init/connection_programs.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstddef>
#include <cstdint>

#include "guest/init/bpf.h"
#include "guest/net_descriptors.h"

namespace capsem::guest::init {
namespace {

using bpf::Assembler;

constexpr std::uint8_t kStack = Assembler::kStack;
constexpr std::int32_t kDnsPort = 53;
constexpr std::uint32_t kMaxConnections = 4096;

// Keys of the map of sockets: IPv6 follows IPv4.
enum SocketKey : std::uint32_t { kTcp = 0, kUdp = 2, kSocketKeys = 4 };

// A place on the stack that is `bytes` behind another one.
constexpr std::int16_t behind(std::int16_t place, std::size_t bytes) {
  return static_cast<std::int16_t>(place + static_cast<std::int16_t>(bytes));
}

// At the socket lookup of a packet that arrives, which on this network all come from sessions.
// Documentation/bpf/prog_sk_lookup.rst
std::vector<bpf_insn> select_socket(const Fd& sockets) {
  constexpr std::uint8_t kContext = 6;
  constexpr std::uint8_t kKey = 7;
  Assembler program;
  auto pass = program.label();
  auto catch_tcp = program.label();
  auto choose_family = program.label();
  auto ipv6 = program.label();
  auto look_up = program.label();

  program.copy(kContext, 1);
  program.load(0, kContext, offsetof(bpf_sk_lookup, protocol));
  program.jump_if_equal(0, IPPROTO_TCP, catch_tcp);
  program.jump_if_not_equal(0, IPPROTO_UDP, pass);
  program.load(0, kContext, offsetof(bpf_sk_lookup, local_port));
  program.jump_if_not_equal(0, kDnsPort, pass);
  program.set(kKey, kUdp);
  program.jump(choose_family);
  program.place(catch_tcp);
  program.set(kKey, kTcp);

  // What goes to loopback is between processes of sessions.
  program.place(choose_family);
  program.load(0, kContext, offsetof(bpf_sk_lookup, family));
  program.jump_if_not_equal(0, AF_INET, ipv6);
  program.load(0, kContext, offsetof(bpf_sk_lookup, local_ip4));
  program.keep_bits(0, 0xff);  // the first byte in network order
  program.jump_if_equal(0, IN_LOOPBACKNET, pass);
  program.jump(look_up);
  program.place(ipv6);
  program.add(kKey, 1);
  for (std::size_t word = 0; word < 3; ++word) {
    program.load(0, kContext, offsetof(bpf_sk_lookup, local_ip6) + 4 * word);
    program.jump_if_not_equal(0, 0, look_up);
  }
  program.load(0, kContext, offsetof(bpf_sk_lookup, local_ip6) + 12);
  program.jump_if_equal(0, static_cast<std::int32_t>(htonl(1)), pass);  // ::1

  program.place(look_up);
  program.store(kStack, -4, kKey, 4);
  program.stack_address(2, -4);
  program.address_of(1, sockets);
  program.call(BPF_FUNC_map_lookup_elem);
  program.jump_if_equal(0, 0, pass);
  program.copy(kKey, 0);
  program.copy(1, kContext);
  program.copy(2, kKey);
  program.set(3, 0);
  program.call(BPF_FUNC_sk_assign);
  program.copy(1, kKey);
  program.call(BPF_FUNC_sk_release);
  program.place(pass);
  program.finish(SK_PASS);
  return program.take();
}

// At connect(2), where the process is known and its socket has no port yet.
std::vector<bpf_insn> note_connector(const Fd& connectors) {
  constexpr std::uint8_t kContext = 6;
  constexpr std::int16_t kCookie = -8;
  constexpr std::int16_t kValue = kCookie - static_cast<std::int16_t>(sizeof(Connector));
  Assembler program;
  auto done = program.label();
  program.copy(kContext, 1);
  program.load(0, kContext, offsetof(bpf_sock_addr, type));
  program.jump_if_not_equal(0, SOCK_STREAM, done);
  program.copy(1, kContext);
  program.call(BPF_FUNC_get_socket_cookie);
  program.store(kStack, kCookie, 0, 8);
  program.call(BPF_FUNC_get_current_pid_tgid);
  program.shift_right(0, 32);
  program.store(kStack, behind(kValue, offsetof(Connector, pid)), 0, 4);
  program.call(BPF_FUNC_get_current_uid_gid);
  program.store(kStack, behind(kValue, offsetof(Connector, uid)), 0, 4);
  program.address_of(1, connectors);
  program.stack_address(2, kCookie);
  program.stack_address(3, kValue);
  program.set(4, BPF_ANY);
  program.call(BPF_FUNC_map_update_elem);
  program.place(done);
  program.finish(1);  // the connection may be made
  return program.take();
}

// An address of the context, IPv4 as an IPv4-mapped one, to the stack.
void store_address(Assembler& program, std::int16_t to, std::size_t ip4, std::size_t ip6) {
  constexpr std::uint8_t kContext = 6;
  auto mapped = program.label();
  auto stored = program.label();
  program.load(0, kContext, offsetof(bpf_sock_ops, family));
  program.jump_if_equal(0, AF_INET, mapped);
  for (std::int16_t byte = 0; byte < 16; byte += 4) {
    program.load(0, kContext, ip6 + static_cast<std::size_t>(byte));
    program.store(kStack, static_cast<std::int16_t>(to + byte), 0, 4);
  }
  program.jump(stored);
  program.place(mapped);
  program.set(0, 0);
  program.store(kStack, to, 0, 8);
  program.set(0, static_cast<std::int32_t>(htonl(0xffff)));
  program.store(kStack, static_cast<std::int16_t>(to + 8), 0, 4);
  program.load(0, kContext, ip4);
  program.store(kStack, static_cast<std::int16_t>(to + 12), 0, 4);
  program.place(stored);
}

// When a connection is about to be made: its socket has a port now, and the process is looked up by
// its cookie, since it is not known here.
std::vector<bpf_insn> note_connection(const Fd& connectors, const Fd& connections) {
  constexpr std::uint8_t kContext = 6;
  constexpr std::int16_t kCookie = -8;
  constexpr std::int16_t kKey = kCookie - static_cast<std::int16_t>(sizeof(ConnectionKey));
  Assembler program;
  auto done = program.label();
  program.copy(kContext, 1);
  program.load(0, kContext, offsetof(bpf_sock_ops, op));
  program.jump_if_not_equal(0, BPF_SOCK_OPS_TCP_CONNECT_CB, done);
  store_address(program, behind(kKey, offsetof(ConnectionKey, local_address)),
                offsetof(bpf_sock_ops, local_ip4), offsetof(bpf_sock_ops, local_ip6));
  store_address(program, behind(kKey, offsetof(ConnectionKey, remote_address)),
                offsetof(bpf_sock_ops, remote_ip4), offsetof(bpf_sock_ops, remote_ip6));
  program.load(0, kContext, offsetof(bpf_sock_ops, local_port));
  program.store(kStack, behind(kKey, offsetof(ConnectionKey, local_port)), 0, 4);
  program.load(0, kContext, offsetof(bpf_sock_ops, remote_port));
  program.store(kStack, behind(kKey, offsetof(ConnectionKey, remote_port)), 0, 4);

  program.copy(1, kContext);
  program.call(BPF_FUNC_get_socket_cookie);
  program.store(kStack, kCookie, 0, 8);
  program.address_of(1, connectors);
  program.stack_address(2, kCookie);
  program.call(BPF_FUNC_map_lookup_elem);
  program.jump_if_equal(0, 0, done);
  program.copy(3, 0);
  program.address_of(1, connections);
  program.stack_address(2, kKey);
  program.set(4, BPF_ANY);
  program.call(BPF_FUNC_map_update_elem);
  program.place(done);
  program.finish(1);
  return program.take();
}

struct Program {
  const char* name;
  bpf_prog_type type;
  bpf_attach_type attachment;
  const std::vector<bpf_insn>& instructions;
  const Fd& target;
};

Result<> run(const Program& program, std::vector<Fd>& running) {
  auto loaded = bpf::load(program.type, program.attachment, program.instructions, program.name);
  if (!loaded) return propagate(loaded);
  auto link = bpf::attach(*loaded, program.target, program.attachment, program.name);
  if (!link) return propagate(link);
  running.push_back(std::move(*link));
  return {};
}

Result<Fd> map_of(const NetSockets& sockets) {
  auto map = bpf::make_map(
      {BPF_MAP_TYPE_SOCKMAP, sizeof(std::uint32_t), sizeof(std::uint64_t), kSocketKeys});
  if (!map) return map;
  const std::pair<std::uint32_t, const Fd&> rows[] = {{kTcp, sockets.tcp4},
                                                      {kTcp + 1, sockets.tcp6},
                                                      {kUdp, sockets.udp4},
                                                      {kUdp + 1, sockets.udp6}};
  for (const auto& [key, socket] : rows)
    if (auto put = bpf::put_socket(*map, key, socket); !put) return propagate(put);
  return map;
}

}  // namespace

Result<ConnectionPrograms> catch_connections(const NetSockets& sockets, const Fd& network,
                                             const Fd& sessions) {
  auto targets = map_of(sockets);
  if (!targets) return propagate(targets);
  auto connectors = bpf::make_map(
      {BPF_MAP_TYPE_LRU_HASH, sizeof(std::uint64_t), sizeof(Connector), kMaxConnections});
  if (!connectors) return propagate(connectors);
  auto connections = bpf::make_map(
      {BPF_MAP_TYPE_LRU_HASH, sizeof(ConnectionKey), sizeof(Connector), kMaxConnections});
  if (!connections) return propagate(connections);

  const auto select = select_socket(*targets);
  const auto connect = note_connector(*connectors);
  const auto connection = note_connection(*connectors, *connections);
  const Program programs[] = {
      {"select_socket", BPF_PROG_TYPE_SK_LOOKUP, BPF_SK_LOOKUP, select, network},
      {"note_connector", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET4_CONNECT, connect,
       sessions},
      {"note_connector", BPF_PROG_TYPE_CGROUP_SOCK_ADDR, BPF_CGROUP_INET6_CONNECT, connect,
       sessions},
      {"note_connection", BPF_PROG_TYPE_SOCK_OPS, BPF_CGROUP_SOCK_OPS, connection, sessions},
  };
  ConnectionPrograms result;
  for (const auto& program : programs)
    if (auto done = run(program, result.running); !done) return propagate(done);
  result.connections = std::move(*connections);
  return result;
}

}  // namespace capsem::guest::init
