#pragma once

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <span>
#include <string_view>

#include <openssl/types.h>

#include "digest.h"

namespace auditchain {

/// HMAC-SHA256 (RFC 2104) under one key, prepared once and used for many messages. OpenSSL erases
/// the key from memory on destruction. Not for use by two threads at once.
class HmacSha256 {
  public:
    /// Throws std::runtime_error with OpenSSL's reason if HMAC is not available.
    explicit HmacSha256(std::span<const std::uint8_t> key);

    /// Return the MAC of the parts as if they were one string.
    /// Throws std::runtime_error with OpenSSL's reason if it fails.
    Digest operator()(std::initializer_list<std::string_view> parts);

  private:
    struct Free {
        void operator()(EVP_MAC_CTX* context) const noexcept;
    };

    std::unique_ptr<EVP_MAC_CTX, Free> context_;
};

/// Fill `out` with key material derived from a secret (HKDF-SHA256, RFC 5869). An empty salt is
/// that of RFC 5869 where none is provided.
/// Throws std::runtime_error with OpenSSL's reason if it fails, as for more than 8160 bytes.
void hkdf_sha256(std::span<const std::uint8_t> secret, std::span<const std::uint8_t> salt,
                 std::string_view info, std::span<std::uint8_t> out);

/// Overwrite bytes that nobody may read any more, in a way that no compiler leaves out.
void erase(std::span<std::uint8_t> secret) noexcept;

/// Whether two digests are equal, in a time that does not depend on where they differ.
bool equal_in_constant_time(const Digest& a, const Digest& b) noexcept;

}  // namespace auditchain
