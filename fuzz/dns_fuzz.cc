// A DNS message of the guest: what is read of it can be answered in every way, within the size that
// the client takes, and the C library reads each answer.
#include <arpa/nameser.h>

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <span>
#include <string>

#include "host/net/dns_message.h"
#include "host/net/host_name.h"

namespace {

using namespace capsem::host::net;  // NOLINT(google-build-using-namespace): all fuzz target

void require(bool holds, const char* what) {
  if (holds) return;
  std::fprintf(stderr, "%s\n", what);
  std::abort();
}

void answer(const DnsQuery& query, const DnsAnswer& with, Transport transport) {
  const auto message = write_answer(query, with, transport);
  const auto udp_bytes = query.edns ? std::max<std::size_t>(query.edns->udp_bytes, 512) : 512;
  // A question is sent back whole, and with OPT fits the smallest message.
  require(transport == Transport::kTcp || message.size() <= udp_bytes, "larger than asked for");
  ns_msg parsed{};
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  require(ns_initparse(bytes, static_cast<int>(message.size()), &parsed) == 0, "not readable");
  require(ns_msg_id(parsed) == query.id, "another ID");
  require(transport == Transport::kUdp || ns_msg_getflag(parsed, ns_f_tc) == 0, "cut over TCP");
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto query = read_query(std::as_bytes(std::span(data, size)));
  if (!query) return 0;
  require(!query->is_host_name || normal_host(query->name) == query->name, "a strange name");
  DnsAnswer full{.aliases = {"a.example", "b.example"}, .ttl_seconds = 1};
  // As many as the input says, so that those that just fit are tried.
  const unsigned count = data[size - 1] % 140U;
  for (unsigned i = 0; i < count; ++i) {
    full.addresses.emplace_back(boost::asio::ip::address_v4(i));
    full.addresses.emplace_back(boost::asio::ip::address_v6());
  }
  const DnsAnswer denied{
      .code = ResponseCode::kNameError,
      .explanation = DnsAnswer::Explanation{ExtendedError::kBlocked, std::string(250, 'x')}};
  const DnsAnswer problem{.code = query->problem};
  for (auto transport : {Transport::kUdp, Transport::kTcp}) {
    if (query->problem == ResponseCode::kNoError) {
      answer(*query, full, transport);
      answer(*query, denied, transport);
    }
    answer(*query, problem, transport);
  }
  return 0;
}
