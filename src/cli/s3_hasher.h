// SHA-256 of bytes that come in pieces.
#pragma once

#include <memory>
#include <string_view>

#include <openssl/types.h>

#include "digest.h"

namespace auditchain::cli {

/// Throws std::runtime_error where OpenSSL fails.
class Hasher {
  public:
    Hasher();

    /// Forget what was added.
    void restart();
    void add(std::string_view bytes);

    /// Return the hash of all that was added since the last restart().
    Digest finish();

  private:
    struct Free {
        void operator()(EVP_MD_CTX* context) const noexcept;
    };
    std::unique_ptr<EVP_MD_CTX, Free> context_;
};

}  // namespace auditchain::cli
