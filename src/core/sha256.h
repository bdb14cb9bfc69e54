#pragma once

#include <initializer_list>
#include <memory>
#include <string_view>

#include <openssl/types.h>

#include "digest.h"

namespace auditchain {

/// A SHA-256 hasher to keep and reuse: OpenSSL 3 makes fetching an algorithm far dearer than
/// hashing one entry. Not for use by two threads at once.
class Sha256 {
  public:
    /// Throws std::runtime_error with OpenSSL's reason if SHA-256 is not available.
    Sha256();
    ~Sha256();
    Sha256(const Sha256&) = delete;
    Sha256& operator=(const Sha256&) = delete;

    /// Hash the parts as if they were one string.
    /// Throws std::runtime_error with OpenSSL's reason if hashing fails.
    Digest operator()(std::initializer_list<std::string_view> parts);

    /// The same where the parts come one by one: begin(), add() of each, end(). They throw alike.
    void begin();
    void add(std::string_view part);
    Digest end();

  private:
    struct Free {
        void operator()(EVP_MD* algorithm) const noexcept;
        void operator()(EVP_MD_CTX* context) const noexcept;
    };

    std::unique_ptr<EVP_MD, Free> algorithm_;
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace auditchain
