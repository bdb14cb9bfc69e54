#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include <openssl/types.h>

namespace auditchain {

/// A public key of Ed25519 as RFC 8032 encodes it.
using Ed25519PublicKey = std::array<std::uint8_t, 32>;

/// A signature of Ed25519 as RFC 8032 encodes it.
using Ed25519Signature = std::array<std::uint8_t, 64>;

/// A private key of Ed25519 as RFC 8032 encodes it.
using Ed25519Seed = std::array<std::uint8_t, 32>;

/// A private key of Ed25519. OpenSSL erases it from memory on destruction.
class Ed25519PrivateKey {
  public:
    /// Read the key from PEM (PKCS#8, RFC 8410), as `openssl genpkey -algorithm ed25519` writes
    /// it. Never asks for a passphrase. The text is the caller's to erase.
    /// Throws Malformed if it is not such a key or is encrypted; what() quotes nothing of it.
    static Ed25519PrivateKey from_pem(std::string_view pem);

    /// Make a new key. Throws std::runtime_error if OpenSSL fails.
    static Ed25519PrivateKey generate();

    /// Return the key as from_pem() reads it, for a file that nobody else can read. The text is the
    /// caller's to erase. Throws std::runtime_error if OpenSSL fails.
    std::string to_pem() const;

    /// Throws std::runtime_error if OpenSSL fails.
    static Ed25519PrivateKey from_seed(const Ed25519Seed& seed);

    /// Write the 32 bytes that from_seed() reads, which are the caller's to erase.
    /// Throws std::runtime_error if OpenSSL fails.
    void seed(Ed25519Seed* out) const;

    /// Throws std::runtime_error if OpenSSL fails.
    Ed25519PublicKey public_key() const;

    /// Throws std::runtime_error if OpenSSL fails.
    Ed25519Signature sign(std::string_view message) const;

  private:
    struct Free {
        void operator()(EVP_PKEY* key) const noexcept;
    };

    explicit Ed25519PrivateKey(EVP_PKEY* key) : key_(key) {}

    std::unique_ptr<EVP_PKEY, Free> key_;
};

/// Whether it is this key's signature of the message (RFC 8032 section 5.1.7).
/// Throws std::runtime_error only if OpenSSL cannot verify at all (out of memory, no Ed25519).
bool ed25519_verify(const Ed25519PublicKey& key, std::string_view message,
                    const Ed25519Signature& signature);

}  // namespace auditchain
