// DNS questions as c-ares asks them, and answers as the C library reads them.
#pragma once

#include <ares.h>
#include <arpa/inet.h>
#include <arpa/nameser.h>
#include <gtest/gtest.h>

#include <array>
#include <cstddef>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "host/net/dns_message.h"

namespace capsem::host::net {

using Message = std::vector<std::byte>;

inline Message message_of(std::string_view text) {
  auto bytes = std::as_bytes(std::span(text));
  return {bytes.begin(), bytes.end()};
}

// With EDNS when `udp_bytes` is not 0.
inline Message question(const std::string& name, RecordType type, int udp_bytes = 0) {
  unsigned char* bytes = nullptr;
  int size = 0;
  constexpr int kInternet = 1;
  EXPECT_EQ(ares_create_query(name.c_str(), kInternet, static_cast<int>(type), 0x1234, 1, &bytes,
                              &size, udp_bytes),
            ARES_SUCCESS);
  auto view = std::as_bytes(std::span(bytes, static_cast<std::size_t>(size)));
  Message message(view.begin(), view.end());
  ares_free_string(bytes);
  return message;
}

struct Reply {
  unsigned code = 0;
  bool truncated = false;
  unsigned questions = 0;
  unsigned records = 0;
  std::vector<std::string> addresses;
  std::vector<std::string> owners;   // of all records
  std::vector<std::string> aliases;  // what they lead to
  unsigned ttl = 0;                  // of the last one
};

inline Reply read_reply(const Message& message) {
  Reply reply;
  ns_msg parsed{};
  const auto* bytes = reinterpret_cast<const unsigned char*>(message.data());
  const bool well_formed = ns_initparse(bytes, static_cast<int>(message.size()), &parsed) == 0;
  EXPECT_TRUE(well_formed);
  if (!well_formed) return reply;
  EXPECT_EQ(ns_msg_getflag(parsed, ns_f_qr), 1) << "not an answer";
  reply.truncated = ns_msg_getflag(parsed, ns_f_tc) != 0;
  reply.code = static_cast<unsigned>(ns_msg_getflag(parsed, ns_f_rcode));
  reply.questions = ns_msg_count(parsed, ns_s_qd);
  reply.records = ns_msg_count(parsed, ns_s_an);
  for (unsigned i = 0; i < reply.records; ++i) {
    ns_rr record{};
    std::array<char, NS_MAXDNAME> text{};
    const bool read = ns_parserr(&parsed, ns_s_an, static_cast<int>(i), &record) == 0;
    EXPECT_TRUE(read) << "record " << i;
    if (!read) return reply;
    reply.owners.emplace_back(ns_rr_name(record));
    reply.ttl = ns_rr_ttl(record);
    if (ns_rr_type(record) == ns_t_cname) {
      EXPECT_GT(ns_name_uncompress(bytes, bytes + message.size(), ns_rr_rdata(record), text.data(),
                                   text.size()),
                0);
      reply.aliases.emplace_back(text.data());
      continue;
    }
    const bool v4 = ns_rr_type(record) == ns_t_a;
    EXPECT_EQ(ns_rr_rdlen(record), v4 ? 4 : 16);
    inet_ntop(v4 ? AF_INET : AF_INET6, ns_rr_rdata(record), text.data(), text.size());
    reply.addresses.emplace_back(text.data());
  }
  return reply;
}

}  // namespace capsem::host::net
