#include "host/net/tls_authority.h"

#include <openssl/bn.h>
#include <openssl/ec.h>
#include <openssl/pem.h>
#include <openssl/rand.h>

#include <algorithm>
#include <array>
#include <boost/asio/ip/address.hpp>
#include <span>
#include <utility>

namespace capsem::host::net {
namespace {

namespace asio = boost::asio;
using std::chrono::seconds;

constexpr std::size_t kLongestName = 253;       // RFC 1035, without the trailing dot
constexpr std::size_t kLongestCommonName = 64;  // RFC 5280, ub-common-name
constexpr int kVersion3 = 2;
constexpr int kSerialBytes = 16;
constexpr const char* kMake = "make";

struct ExtensionRow {
  int nid;
  const char* value;
};

// RFC 5280, 4.2: what verifiers ask of an authority and of a server, Python 3.13's strict ones too.
// An identifier of a key comes after the key is in.
constexpr ExtensionRow kAuthorityExtensions[] = {
    {NID_basic_constraints, "critical,CA:TRUE,pathlen:0"},
    {NID_key_usage, "critical,keyCertSign,cRLSign"},
    {NID_subject_key_identifier, "hash"},
};
constexpr ExtensionRow kLeafExtensions[] = {
    {NID_basic_constraints, "critical,CA:FALSE"},
    {NID_key_usage, "critical,digitalSignature"},
    {NID_ext_key_usage, "serverAuth"},
    {NID_subject_key_identifier, "hash"},
    {NID_authority_key_identifier, "keyid:always"},
};

bool is_host_name(std::string_view host) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '.' || c == '_';
  };
  return !host.empty() && host.size() <= kLongestName && std::ranges::all_of(host, allowed) &&
         host.front() != '.' && host.back() != '.' && !host.contains("..");
}

bool set_common_name(X509_NAME* name, std::string_view text) {
  return X509_NAME_add_entry_by_txt(
             name, "CN", MBSTRING_UTF8, reinterpret_cast<const unsigned char*>(text.data()),
             static_cast<int>(std::min(text.size(), kLongestCommonName)), -1, 0) == 1;
}

bool set_random_serial(X509* certificate) {
  std::array<unsigned char, kSerialBytes> bytes{};
  if (RAND_bytes(bytes.data(), bytes.size()) != 1) return false;
  bytes[0] = (bytes[0] & 0x3f) | 0x40;  // positive, and never of fewer bytes
  std::unique_ptr<BIGNUM, OpensslFree<BN_free>> number(
      BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool add_extensions(X509* certificate, X509* issuer, std::span<const ExtensionRow> rows) {
  X509V3_CTX context;
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  return std::ranges::all_of(rows, [&](const ExtensionRow& row) {
    ExtensionPtr extension(X509V3_EXT_conf_nid(nullptr, &context, row.nid, row.value));
    return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
  });
}

// Not by OpenSSL's configuration syntax, in which a name could say more than a name.
bool add_alternative_name(X509* certificate, const std::string& host) {
  boost::system::error_code not_an_address;
  auto address = asio::ip::make_address(host, not_an_address);
  std::unique_ptr<GENERAL_NAME, OpensslFree<GENERAL_NAME_free>> name(GENERAL_NAME_new());
  GeneralNamesPtr names(GENERAL_NAMES_new());
  ASN1_STRING* value =
      ASN1_STRING_type_new(not_an_address ? V_ASN1_IA5STRING : V_ASN1_OCTET_STRING);
  if (!name || !names || value == nullptr) {
    ASN1_STRING_free(value);
    return false;
  }
  GENERAL_NAME_set0_value(name.get(), not_an_address ? GEN_DNS : GEN_IPADD, value);
  auto set = [&](const auto& bytes) {
    return ASN1_STRING_set(value, bytes.data(), static_cast<int>(bytes.size())) == 1;
  };
  bool is_set = not_an_address    ? set(host)
                : address.is_v4() ? set(address.to_v4().to_bytes())
                                  : set(address.to_v6().to_bytes());
  if (!is_set || sk_GENERAL_NAME_push(names.get(), name.get()) <= 0) return false;
  static_cast<void>(name.release());
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, names.get(), 0, 0) == 1;
}

// All but the extensions and the signature.
CertificatePtr begin_certificate(EVP_PKEY* key, std::string_view name, seconds begin, seconds end) {
  CertificatePtr certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), kVersion3) != 1 ||
      !set_random_serial(certificate.get()) ||
      X509_gmtime_adj(X509_getm_notBefore(certificate.get()), begin.count()) == nullptr ||
      X509_gmtime_adj(X509_getm_notAfter(certificate.get()), end.count()) == nullptr ||
      X509_set_pubkey(certificate.get(), key) != 1 ||
      !set_common_name(X509_get_subject_name(certificate.get()), name)) {
    return nullptr;
  }
  return certificate;
}

bool sign(X509* certificate, X509* issuer, EVP_PKEY* key) {
  return X509_set_issuer_name(certificate, X509_get_subject_name(issuer)) == 1 &&
         X509_sign(certificate, key, EVP_sha256()) > 0;
}

std::string to_pem(X509* certificate) {
  BioPtr memory(BIO_new(BIO_s_mem()));
  if (!memory || PEM_write_bio_X509(memory.get(), certificate) != 1) return {};
  const char* text = nullptr;
  const long size = BIO_get_mem_data(memory.get(), &text);
  return size > 0 ? std::string(text, static_cast<std::size_t>(size)) : std::string();
}

CertificatePtr share(X509* certificate) {
  X509_up_ref(certificate);
  return CertificatePtr(certificate);
}

KeyPtr share(EVP_PKEY* key) {
  EVP_PKEY_up_ref(key);
  return KeyPtr(key);
}

}  // namespace

Result<std::unique_ptr<TlsAuthority>> TlsAuthority::make(std::string_view vm) {
  return make(vm, Limits());
}

Result<std::unique_ptr<TlsAuthority>> TlsAuthority::make(std::string_view vm,
                                                         const Limits& limits) {
  const std::string name = "capsem, for " + std::string(vm) + " only";
  std::unique_ptr<TlsAuthority> made(new TlsAuthority(limits));
  made->key_.reset(EVP_EC_gen("P-256"));
  made->leaf_key_.reset(EVP_EC_gen("P-256"));
  if (!made->key_ || !made->leaf_key_) return fail_openssl(kMake, "a key");
  made->certificate_ =
      begin_certificate(made->key_.get(), name, -limits.backdated, limits.lifetime);
  X509* certificate = made->certificate_.get();
  if (certificate == nullptr || !add_extensions(certificate, certificate, kAuthorityExtensions) ||
      !sign(certificate, certificate, made->key_.get())) {
    return fail_openssl(kMake, "the VM's certificate authority");
  }
  made->pem_ = to_pem(certificate);
  if (made->pem_.empty()) return fail_openssl("write", "the VM's certificate authority");
  return made;
}

Result<std::shared_ptr<const TlsIdentity>> TlsAuthority::leaf(std::string_view host) {
  std::string wanted(host);
  const auto now = std::chrono::steady_clock::now();
  if (auto found = by_host_.find(wanted); found != by_host_.end()) {
    if (now < found->second->renewed_at) {
      leaves_.splice(leaves_.begin(), leaves_, found->second);
      return found->second->identity;
    }
    leaves_.erase(found->second);
    by_host_.erase(found);
  }
  auto identity = make_leaf(wanted);
  if (!identity) return propagate(identity);
  while (!leaves_.empty() && leaves_.size() >= limits_.cached_leaves) {
    by_host_.erase(leaves_.back().host);
    leaves_.pop_back();
  }
  leaves_.push_front({wanted, *identity, now + limits_.leaf_lifetime / 2});
  by_host_.emplace(std::move(wanted), leaves_.begin());
  return *identity;
}

Result<std::shared_ptr<const TlsIdentity>> TlsAuthority::make_leaf(const std::string& host) const {
  boost::system::error_code not_an_address;
  asio::ip::make_address(host, not_an_address);
  if (not_an_address && !is_host_name(host))
    return fail(kMake, "a certificate", "a server has no such name", "", ErrorKind::kInvalid);
  auto certificate = begin_certificate(leaf_key_.get(), host, -limits_.backdated,
                                       std::min(limits_.leaf_lifetime, limits_.lifetime));
  if (!certificate || !add_extensions(certificate.get(), certificate_.get(), kLeafExtensions) ||
      !add_alternative_name(certificate.get(), host) ||
      !sign(certificate.get(), certificate_.get(), key_.get())) {
    return fail_openssl(kMake, "a certificate for '" + host + "'");
  }
  return std::make_shared<const TlsIdentity>(std::move(certificate), share(leaf_key_.get()),
                                             share(certificate_.get()));
}

}  // namespace capsem::host::net
