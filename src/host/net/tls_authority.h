// The certificate authority of one VM: made when the VM starts, trusted by its guest only, and gone
// with the monitor, since its key is never written anywhere.
#pragma once

#include <chrono>
#include <cstddef>
#include <list>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "base/error.h"
#include "host/net/openssl.h"

namespace capsem::host::net {

// What a TLS server proves itself with.
struct TlsIdentity {
  CertificatePtr certificate;
  KeyPtr key;
  CertificatePtr issuer;  // sent along, so that a client that has its hash only finds it
};

class TlsAuthority {
 public:
  struct Limits {
    // A guest's clock may be somewhat behind the host's.
    std::chrono::seconds backdated = std::chrono::hours(24);
    // That of the authority, which a VM is not expected to outlive.
    std::chrono::seconds lifetime = std::chrono::hours(24 * 365);
    std::chrono::seconds leaf_lifetime = std::chrono::hours(24 * 30);
    // A guest may ask for any number of names that a pattern allows: the least recently used leaf
    // goes. About 1 KiB each.
    std::size_t cached_leaves = 1024;
  };

  // Makes the keys, ECDSA P-256. `vm` is put into the authority's name for who lists the guest's
  // store.
  static Result<std::unique_ptr<TlsAuthority>> make(std::string_view vm);
  static Result<std::unique_ptr<TlsAuthority>> make(std::string_view vm, const Limits& limits);

  // For the guest's trust store.
  const std::string& certificate_pem() const { return pem_; }

  // The identity of the server `host`: a name in lower case or the text of an address. Made when it
  // is not cached or has lived half of its time. kInvalid for what is neither.
  Result<std::shared_ptr<const TlsIdentity>> leaf(std::string_view host);

  std::size_t cached_leaves() const { return leaves_.size(); }

 private:
  struct Leaf {
    std::string host;
    std::shared_ptr<const TlsIdentity> identity;
    std::chrono::steady_clock::time_point renewed_at;
  };

  explicit TlsAuthority(const Limits& limits) : limits_(limits) {}
  Result<std::shared_ptr<const TlsIdentity>> make_leaf(const std::string& host) const;

  Limits limits_;
  KeyPtr key_;
  CertificatePtr certificate_;
  std::string pem_;
  // One for all leaves: they are all ours, and a leaf then costs one signature.
  KeyPtr leaf_key_;
  std::list<Leaf> leaves_;  // the last used first
  std::unordered_map<std::string, std::list<Leaf>::iterator> by_host_;
};

}  // namespace capsem::host::net
