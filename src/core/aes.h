#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

namespace auditchain {

/// A key of AES-256.
using AesKey = std::array<std::uint8_t, 32>;

/// A key wrapped with AES-256 (RFC 3394).
using WrappedKey = std::array<std::uint8_t, 40>;

using GcmNonce = std::array<std::uint8_t, 12>;
inline constexpr std::size_t kGcmTagSize = 16;

/// Fill `out` with random bytes that are to be secret. Throws std::runtime_error if OpenSSL fails.
void make_random_key(AesKey* out);

/// Fill `out` with random bytes that anybody may see. Throws std::runtime_error if OpenSSL fails.
void make_random_nonce(GcmNonce* out);

/// Encrypt with AES-256-GCM (NIST SP 800-38D). Writes text.size() + kGcmTagSize bytes to `out`: the
/// encrypted text, and a tag that authenticates it and `associated`. A key must never be used with
/// the same nonce twice.
/// Throws std::length_error for texts of 2 GB, std::runtime_error if OpenSSL fails.
void gcm_encrypt(const AesKey& key, const GcmNonce& nonce, std::string_view associated,
                 std::string_view text, std::uint8_t* out);

/// Decrypt what gcm_encrypt() wrote, and write sealed.size() - kGcmTagSize bytes to `out`. False if
/// it is not of this key, nonce and associated text, or was changed; `out` then has nothing of use.
/// Throws std::length_error for texts of 2 GB, std::runtime_error if OpenSSL fails.
bool gcm_decrypt(const AesKey& key, const GcmNonce& nonce, std::string_view associated,
                 std::string_view sealed, std::uint8_t* out);

/// Wrap a key by another one. Throws std::runtime_error if OpenSSL fails.
WrappedKey wrap_key(const AesKey& by, const AesKey& key);

/// Unwrap it again; false if it was wrapped by another key, or changed.
/// Throws std::runtime_error if OpenSSL fails.
bool unwrap_key(const AesKey& by, const WrappedKey& wrapped, AesKey* out);

}  // namespace auditchain
