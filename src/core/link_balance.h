#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// Checks the links of a whole log in any order of its entries, in constant memory.
///
/// An entry provides its own place: (chain, position, checksum). It needs that of the one before:
/// (chain, position - 1, previous checksum). Beside the entries, each chain provides its genesis,
/// (chain, 0, 64 zeros), and needs its newest entry. In an intact log all that is needed is
/// provided, once. The reverse holds as well: at each position of a chain there are as many entries
/// as at the next, which begins with the one genesis and ends at the newest; so there is one entry
/// at each position, and it names the one before. Likewise every entry has a (chain, key), and each
/// chain expects as many of its own as its newest position says.
///
/// That two such multisets are equal is told by the products of (r - hash of item) over their
/// items, modulo the prime 2^61 - 1, where the hash is linear in the item's words and has random
/// coefficients: memory checking by M. Blum and others (Checking the correctness of memories,
/// 1994). Different multisets of n items agree with probability of at most n / 2^61
/// (Schwartz-Zippel), and there are two such products with secrets of their own: for a billion
/// entries, 2^-62. Nobody can aim at it: the secrets are drawn anew for each run, after the entries
/// were written.
///
/// Plain data, so that parallel workers can keep theirs in shared memory. No function throws.
class LinkBalance {
  public:
    static constexpr int kRepeats = 2;
    static constexpr int kWords = 11;  ///< of an item: chain, position, checksum; 32 bits each

    struct Secret {
        std::uint64_t coefficients[kRepeats][kWords];
        std::uint64_t points[kRepeats];
        std::uint64_t text_points[kRepeats];
    };

    /// Make a secret out of random bytes.
    static Secret make_secret(std::span<const std::uint8_t, sizeof(Secret)> random);

    explicit LinkBalance(const Secret& secret) : secret_(secret) {}

    /// Take an entry as it is stored. The key is the one that it has by its own columns.
    void add_entry(std::int32_t chain, std::int64_t position, const Digest& previous,
                   const Digest& checksum);
    void add_key(std::int32_t chain, std::string_view key);

    /// Take entries first..last of a chain that are in an archive: they provide the last place and
    /// need that before the first, as one entry would. The argument above holds for them, too.
    void add_archived(std::int32_t chain, std::int64_t first, std::int64_t last,
                      const Digest& previous, const Digest& checksum);
    void add_archived_keys(std::int32_t chain, std::string_view key, std::int64_t count);

    /// Take a chain: its newest entry and, for add_expected_keys, its key.
    void add_chain(std::int32_t chain, std::int64_t newest, const Digest& checksum);
    void add_expected_keys(std::int32_t chain, std::string_view key, std::int64_t newest);

    /// Take what another balance with the same secret has taken.
    void merge(const LinkBalance& other);

    /// Return whether what is needed is what is provided. Meaningful once all entries and all
    /// chains that have entries have been taken.
    bool balanced() const;

  private:
    struct Sides {
        std::uint64_t provided = 1;
        std::uint64_t needed = 1;
    };

    std::uint64_t item(int repeat, std::int32_t chain, std::int64_t position,
                       const Digest& checksum) const;
    std::uint64_t key_item(int repeat, std::int32_t chain, std::string_view key) const;

    Secret secret_;
    Sides links_[kRepeats];
    Sides keys_[kRepeats];
};

}  // namespace auditchain
