#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "aes.h"
#include "receipt.h"
#include "sha256.h"

namespace auditchain {

// How the entries of a bundle are encrypted (docs/bundle.md): with AES-256-GCM, each file in one
// piece, under a data key of the bundle alone, which is wrapped by a key that its readers have.

/// Return what names a key that wraps others, and tells nothing of it: 8 hex digits, the first of
/// SHA-256("auditchain archive key" || key). Throws std::runtime_error if OpenSSL fails.
std::string archive_key_id(Sha256& sha256, const ReceiptSecret& key);

/// Encrypts and decrypts the files of one bundle. Several threads may use it at once.
class BundleCipher {
  public:
    /// Make a new data key. Throws std::runtime_error if OpenSSL fails.
    BundleCipher();

    /// Unwrap a data key. Throws Malformed if it was wrapped by another key, or changed.
    BundleCipher(const ReceiptSecret& key, const WrappedKey& wrapped);

    ~BundleCipher();
    BundleCipher(const BundleCipher&) = delete;
    BundleCipher& operator=(const BundleCipher&) = delete;

    /// Return the data key for whoever has `key`. Throws std::runtime_error if OpenSSL fails.
    WrappedKey wrap(const ReceiptSecret& key) const;

    /// Return the text, encrypted, and 16 bytes that authenticate it as file `number` of this name:
    /// two files of a bundle must have different numbers.
    /// Throws std::runtime_error if OpenSSL fails.
    std::string encrypt(std::uint64_t number, std::string_view name, std::string_view text) const;

    /// Return the text again. Throws Malformed if it is not as encrypt() made it of this file.
    std::string decrypt(std::uint64_t number, std::string_view name, std::string_view file) const;

  private:
    AesKey data_key_{};
};

}  // namespace auditchain
