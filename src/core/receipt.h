#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "digest.h"
#include "hmac.h"
#include "sha256.h"

namespace auditchain {

/// A secret that receipt keys are derived from.
using ReceiptSecret = std::array<std::uint8_t, 32>;

/// Secrets that a key file may hold: the one in use and retired ones.
inline constexpr std::size_t kMaxReceiptSecrets = 16;

/// The secrets of a key file, newest first. Erased from memory on destruction.
struct ReceiptSecrets {
    std::array<ReceiptSecret, kMaxReceiptSecrets> secrets{};
    std::size_t count = 0;

    ReceiptSecrets() = default;
    ~ReceiptSecrets();
    ReceiptSecrets(const ReceiptSecrets&) = delete;
    ReceiptSecrets& operator=(const ReceiptSecrets&) = delete;
};

/// Read secrets from lines of 64 hex digits, as `openssl rand -hex 32` writes them: the first is
/// in use, those below are retired. Lines may end in CR LF, and the last in nothing. The text is
/// the caller's to erase.
/// Throws Malformed if there is none or another line; what() quotes nothing of it.
void parse_receipt_secrets(std::string_view text, ReceiptSecrets* out);

/// Return what names a secret and tells nothing of it: 8 hex digits, the first of
/// SHA-256("auditchain receipt key" || secret). Throws std::runtime_error if OpenSSL fails.
std::string receipt_key_id(Sha256& sha256, const ReceiptSecret& secret);

/// Makes the receipts of the chains of one key, such as a tenant's:
///
///     receipt = HMAC-SHA256(key, leaf)
///     key = HKDF-SHA256(secret, no salt, info = the chains' key as a JSON array), 32 bytes
///
/// so that who has a tenant's key can check the tenant's receipts and no other.
class ReceiptMaker {
  public:
    /// Throws std::runtime_error if OpenSSL fails.
    ReceiptMaker(const ReceiptSecret& secret, std::string_view chain_key);

    /// Return the receipt of an entry whose leaf is entry_leaf().
    /// Throws std::runtime_error if OpenSSL fails.
    Digest operator()(std::string_view leaf) { return hmac_({leaf}); }

  private:
    HmacSha256 hmac_;
};

}  // namespace auditchain
