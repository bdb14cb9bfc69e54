#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// A secret that lives for one epoch: that of the next is computed from it, and that of the one
/// before is not. The secret of epoch 0 is the seed, from which all are. Holds a secret: erase()
/// it.
struct EvolvingKey {
    std::uint32_t epoch = 0;
    std::uint64_t start = 0;   ///< when epoch 0 began, in seconds since 1970
    std::uint32_t length = 1;  ///< of an epoch, in seconds
    std::array<std::uint8_t, 32> secret{};
};

inline constexpr std::uint32_t kMaxEpoch = UINT32_MAX;
inline constexpr std::uint32_t kMaxEpochLength = 366 * 86400;

/// Return the epoch that a time is in, in seconds since 1970; times before the start are in epoch
/// 0.
std::uint32_t epoch_at(const EvolvingKey& key, std::uint64_t time) noexcept;

/// Return when an epoch ends, in seconds since 1970: the first second of the next.
std::uint64_t end_of_epoch(const EvolvingKey& key, std::uint32_t epoch) noexcept;

/// Make a key that of a later epoch, one step an epoch:
///
///     next secret = HKDF-SHA256(secret, no salt, info = "auditchain next epoch"), 32 bytes
///
/// The secrets before are erased. A key that has come as far stays as it is: there is no way back.
/// Throws std::runtime_error if OpenSSL fails; the key is then of some epoch in between.
void evolve(EvolvingKey* key, std::uint32_t epoch);

/// The first word of the line that holds a server's key, and of that which holds a seed.
inline constexpr std::string_view kEvolvingKeyWord = "auditchain-evolving-key";
inline constexpr std::string_view kEvolvingSeedWord = "auditchain-evolving-seed";

/// Whether a line begins with either word.
bool is_evolving_key(std::string_view line) noexcept;

/// Read `<word> 1 <epoch> <start> <length> <64 hex digits>`.
/// Throws Malformed if it is none, or begins with another word; what() quotes nothing of it.
void parse_evolving_key(std::string_view line, std::string_view word, EvolvingKey* out);

/// Write that line, with a newline, and return its length, which is below 160.
/// Throws std::length_error if it does not fit.
std::size_t format_evolving_key(const EvolvingKey& key, std::string_view word, std::span<char> out);

/// What the server says of a log in each epoch: that it had this tree. Under a key that the epoch's
/// end destroys, so that nobody can say it later.
struct EpochSeal {
    std::uint32_t epoch = 0;
    std::uint32_t incarnation = 0;
    std::uint64_t size = 0;  ///< of the tree
    Digest root{};
    std::uint64_t time = 0;  ///< in seconds since 1970
};

/// Return the MAC of a seal of the log with this id, by the secret of the seal's epoch:
///
///     HMAC-SHA256(HKDF-SHA256(secret, no salt, info = "auditchain epoch seal"), text)
///     text = auditchain/epoch-seal/v1\n<log id>\n<incarnation>\n<epoch>\n<size>\n<root>\n<time>\n
///
/// with numbers in decimal and the root in hex. A chain's key is a JSON array, and so no info of
/// receipts is that of seals or epochs. Throws std::runtime_error if OpenSSL fails.
Digest epoch_seal_mac(const std::array<std::uint8_t, 32>& secret, std::string_view log_id,
                      const EpochSeal& seal);

}  // namespace auditchain
