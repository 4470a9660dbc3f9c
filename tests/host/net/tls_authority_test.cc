#include "host/net/tls_authority.h"

#include <gtest/gtest.h>
#include <openssl/pem.h>

#include <string>

#include "base/file.h"
#include "base/process.h"
#include "tests/temporary_directory.h"

namespace capsem::host::net {
namespace {

using std::chrono::hours;

std::unique_ptr<TlsAuthority> authority(const TlsAuthority::Limits& limits = {}) {
  auto made = TlsAuthority::make("test", limits);
  EXPECT_TRUE(made) << made.error().message();
  return std::move(*made);
}

std::string pem(X509* certificate) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  PEM_write_bio_X509(memory.get(), certificate);
  char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return {text, static_cast<std::size_t>(size)};
}

// openssl verify(1) of the leaf for `host`, in its strict mode.
Result<std::string> verify(TlsAuthority& by, const std::string& host,
                           const std::vector<std::string>& options) {
  testing::TemporaryDirectory directory;
  auto leaf = by.leaf(host);
  if (!leaf) return propagate(leaf);
  auto written = write_file_atomically(directory / "ca.pem", by.certificate_pem());
  if (written)
    written = write_file_atomically(directory / "leaf.pem", pem((*leaf)->certificate.get()));
  if (!written) return propagate(written);
  Command command{.argv = {"openssl", "verify", "-x509_strict", "-purpose", "sslserver", "-CAfile",
                           directory / "ca.pem"}};
  command.argv.insert(command.argv.end(), options.begin(), options.end());
  command.argv.push_back(directory / "leaf.pem");
  return run_for_output(command);
}

TEST(TlsAuthority, MakesLeavesThatOpensslFindsRight) {
  auto made = authority();
  auto by_name = verify(*made, "api.example.com", {"-verify_hostname", "api.example.com"});
  EXPECT_TRUE(by_name) << by_name.error().message();
  auto by_address = verify(*made, "192.0.2.7", {"-verify_ip", "192.0.2.7"});
  EXPECT_TRUE(by_address) << by_address.error().message();
  auto by_address6 = verify(*made, "2001:db8::7", {"-verify_ip", "2001:db8::7"});
  EXPECT_TRUE(by_address6) << by_address6.error().message();
  EXPECT_FALSE(verify(*made, "api.example.com", {"-verify_hostname", "example.com"}));
  auto longest = std::string(63, 'a') + "." + std::string(63, 'b') + ".example.com";
  EXPECT_TRUE(verify(*made, longest, {"-verify_hostname", longest}));
}

TEST(TlsAuthority, EachVmTrustsItsOwnOnly) {
  auto made = authority();
  auto other = authority();
  EXPECT_NE(made->certificate_pem(), other->certificate_pem());
  EXPECT_FALSE(made->certificate_pem().contains("PRIVATE"));
  auto leaf = made->leaf("example.com");
  auto key = KeyPtr(X509_get_pubkey((*leaf)->issuer.get()));
  EXPECT_EQ(X509_verify((*leaf)->certificate.get(), key.get()), 1);
  EXPECT_EQ(X509_check_ca((*leaf)->certificate.get()), 0);
  auto foreign = other->leaf("example.com");
  EXPECT_NE(X509_verify((*foreign)->certificate.get(), key.get()), 1);
}

TEST(TlsAuthority, CertificatesBeginALittleBeforeAndEnd) {
  auto made = authority({.backdated = hours(2), .lifetime = hours(10), .leaf_lifetime = hours(20)});
  auto leaf = made->leaf("example.com");
  auto* certificate = (*leaf)->certificate.get();
  auto is_before = [](const ASN1_TIME* time, std::chrono::seconds then) {
    time_t at = ::time(nullptr) + then.count();
    return X509_cmp_time(time, &at) < 0;
  };
  EXPECT_TRUE(is_before(X509_get0_notBefore(certificate), hours(-1)));
  EXPECT_FALSE(is_before(X509_get0_notBefore(certificate), hours(-3)));
  EXPECT_TRUE(is_before(X509_get0_notAfter(certificate), hours(11))) << "outlives its authority";
  EXPECT_FALSE(is_before(X509_get0_notAfter(certificate), hours(9)));
}

TEST(TlsAuthority, KeepsTheLeavesThatWereUsedLast) {
  auto made = authority({.cached_leaves = 2});
  auto first = made->leaf("a.example");
  made->leaf("b.example").value();
  EXPECT_EQ(made->leaf("a.example").value(), *first);
  auto second = made->leaf("b.example");
  made->leaf("a.example").value();
  made->leaf("c.example").value();  // b.example goes
  EXPECT_EQ(made->cached_leaves(), 2U);
  EXPECT_EQ(made->leaf("a.example").value(), *first);
  EXPECT_NE(made->leaf("b.example").value(), *second);
}

TEST(TlsAuthority, MakesALeafAnewBeforeItEnds) {
  auto made = authority({.leaf_lifetime = std::chrono::seconds(0)});
  auto first = made->leaf("a.example");
  EXPECT_NE(made->leaf("a.example").value(), *first);
  EXPECT_EQ(made->cached_leaves(), 1U);
}

TEST(TlsAuthority, RefusesWhatIsNoName) {
  auto made = authority();
  for (std::string name : {"", "a b", "a,DNS:b", "A.example", "a..b", ".a", "a.", "*.example",
                           "a/b", "1.2.3.4 ", "a\nb"}) {
    auto leaf = made->leaf(name);
    ASSERT_FALSE(leaf) << name;
    EXPECT_EQ(leaf.error().kind(), ErrorKind::kInvalid) << name;
  }
  EXPECT_FALSE(made->leaf(std::string(254, 'a')));
  EXPECT_FALSE(made->leaf(std::string("a.example\0b", 11)));
  EXPECT_EQ(made->cached_leaves(), 0U);
}

}  // namespace
}  // namespace capsem::host::net
