#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "digest.h"
#include "evolving_key.h"
#include "hmac.h"
#include "sha256.h"

namespace auditchain {

/// A secret that receipt keys are derived from.
using ReceiptSecret = std::array<std::uint8_t, 32>;

/// A receipt as an entry has it: 32 bytes by a plain secret, or, by an evolving key, its epoch in 4
/// bytes, big-endian, before them.
struct Receipt {
    bool evolving = false;
    std::uint32_t epoch = 0;
    Digest mac{};
};
inline constexpr std::size_t kEvolvingReceiptSize = 36;

/// Read a receipt; false where the bytes are none.
bool parse_receipt(std::string_view bytes, Receipt* out) noexcept;

/// Write a receipt and return its size.
std::size_t write_receipt(const Receipt& receipt,
                          std::span<std::uint8_t, kEvolvingReceiptSize> out) noexcept;

/// Lines that a key file may have: the secret in use and retired ones.
inline constexpr std::size_t kMaxReceiptSecrets = 16;

/// The secrets of a key file, newest first. Erased from memory on destruction.
struct ReceiptSecrets {
    std::array<ReceiptSecret, kMaxReceiptSecrets> secrets{};  ///< plain ones
    std::size_t count = 0;
    EvolvingKey evolving{};
    int evolving_line = -1;  ///< how many plain ones are before it: 0 if it is in use; -1: none

    std::size_t lines() const noexcept { return count + (evolving_line >= 0 ? 1 : 0); }

    ReceiptSecrets() = default;
    ~ReceiptSecrets();
    ReceiptSecrets(const ReceiptSecrets&) = delete;
    ReceiptSecrets& operator=(const ReceiptSecrets&) = delete;
};

/// Read secrets from lines of 64 hex digits, as `openssl rand -hex 32` writes them: the first is
/// in use, those below are retired. One of them may be an evolving key instead. Lines may end in CR
/// LF, and the last in nothing. The text is the caller's to erase.
/// Throws Malformed if there is none or another line; what() quotes nothing of it.
void parse_receipt_secrets(std::string_view text, ReceiptSecrets* out);

/// Write those lines and return their length. Throws std::length_error if they do not fit.
std::size_t format_receipt_secrets(const ReceiptSecrets& secrets, std::span<char> out);

/// Return what names a secret and tells nothing of it: 8 hex digits, the first of
/// SHA-256("auditchain receipt key" || secret). Throws std::runtime_error if OpenSSL fails.
std::string receipt_key_id(Sha256& sha256, const ReceiptSecret& secret);

/// Makes the receipts of the chains of one key, such as a tenant's:
///
///     receipt = HMAC-SHA256(key, leaf)
///     key = HKDF-SHA256(secret, no salt, info = the chains' key as a JSON array), 32 bytes
///
/// so that who has a tenant's key can check the tenant's receipts and no other. The secret is a
/// plain one, or that of an epoch.
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
