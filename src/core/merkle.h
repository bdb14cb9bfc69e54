#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "digest.h"
#include "sha256.h"

namespace auditchain {

// The Merkle tree of RFC 6962 section 2.1. As in Go's sumdb/tlog this is code without storage: it
// says which subtrees it needs, the caller reads their hashes, it folds them.

/// Return the hash of a leaf: SHA-256(0x00 || leaf). Throws std::runtime_error if OpenSSL fails.
Digest leaf_hash(Sha256& sha256, std::string_view leaf);

/// Return the hash of a node: SHA-256(0x01 || left || right).
/// Throws std::runtime_error if OpenSSL fails.
Digest node_hash(Sha256& sha256, const Digest& left, const Digest& right);

/// Return the root of the tree without leaves: SHA-256 of the empty string.
/// Throws std::runtime_error if OpenSSL fails.
Digest empty_root(Sha256& sha256);

/// More leaves than this no tree has: sizes and indexes fit PostgreSQL's bigint.
inline constexpr std::uint64_t kMaxTreeSize = INT64_MAX;

/// A complete subtree: the 2^level leaves from index * 2^level on. A leaf has level 0.
struct Subtree {
    int level = 0;
    std::uint64_t index = 0;

    bool operator==(const Subtree&) const = default;
};

/// Storage keeps the hashes of the complete subtrees at levels 8, 16, 24, ...: those of each level
/// are computed from 256 of the level below, the lowest from leaves. The others are cheap to
/// compute when they are needed.
inline constexpr int kStoredLevels = 8;

/// `count` subtrees of one level, side by side from `index` on.
struct SubtreeRun {
    int level = 0;
    std::uint64_t index = 0;
    std::uint64_t count = 0;

    bool operator==(const SubtreeRun&) const = default;
};

/// Return the stored hashes (or the leaves, if the level is 0) that a subtree's hash is computed
/// from: itself or, if its level is not stored, those below it at the next level that is. At most
/// 128. complete_hash() computes it from them.
SubtreeRun stored_below(const Subtree& subtree) noexcept;

/// Return the hash of the complete subtree that has these hashes, all of one level, as its nodes
/// from left to right: 256 leaf hashes give a hash at level 8. Works in place, so that `nodes` is
/// garbage afterwards. Throws std::invalid_argument unless their number is a power of two,
/// std::runtime_error if OpenSSL fails.
Digest complete_hash(Sha256& sha256, std::span<Digest> nodes);

/// Subtrees in a row: plain data, so that it may live where PostgreSQL reports errors.
class SubtreeList {
  public:
    const Subtree* begin() const noexcept { return items_.data(); }
    const Subtree* end() const noexcept { return items_.data() + size_; }
    std::size_t size() const noexcept { return size_; }
    const Subtree& operator[](std::size_t i) const noexcept { return items_[i]; }
    void push_back(const Subtree& subtree) noexcept { items_[size_++] = subtree; }

  private:
    std::array<Subtree, 128> items_{};  // of no tree does a proof need more
    std::size_t size_ = 0;
};

/// Return the complete subtrees that a tree is made of, from left to right, which is from the
/// biggest to the smallest: one for each bit of its size. Their hashes are the tree's Frontier.
SubtreeList frontier_subtrees(std::uint64_t size) noexcept;

/// A complete subtree and its hash.
struct SubtreeHash {
    Subtree subtree;
    Digest hash;
};

/// The right edge of a tree: the hashes of frontier_subtrees(size), which is all that is needed to
/// append leaves and to compute the root. Plain data of constant size.
class Frontier {
  public:
    /// The tree without leaves.
    Frontier() = default;

    /// The tree of `size` leaves with this frontier, as bytes() gave it.
    /// Throws Malformed if there are not 32 bytes for each bit of the size.
    Frontier(std::uint64_t size, std::string_view bytes);

    std::uint64_t size() const noexcept { return size_; }

    /// Return the hashes of the frontier from the biggest subtree to the smallest, 32 bytes each.
    std::string bytes() const;

    /// Append a leaf and return the subtrees at stored levels that it completed, lowest first (at
    /// most 7, mostly none), for the caller to store. They are valid until the next append.
    /// Throws std::runtime_error if OpenSSL fails, std::length_error at kMaxTreeSize; the frontier
    /// is then unchanged.
    std::span<const SubtreeHash> append(Sha256& sha256, const Digest& leaf_hash);

    /// Append a complete subtree of which only the hash is known. The same, but that it throws
    /// std::invalid_argument unless the tree's size is a multiple of the subtree's.
    std::span<const SubtreeHash> append_subtree(Sha256& sha256, int level, const Digest& hash);

    /// Return the root of the tree (RFC 6962 section 2.1).
    /// Throws std::runtime_error if OpenSSL fails.
    Digest root(Sha256& sha256) const;

  private:
    std::uint64_t size_ = 0;
    std::size_t count_ = 0;              // hashes in use: the bits set in size_
    std::array<Digest, 64> hashes_{};    // biggest subtree first
    std::array<SubtreeHash, 8> done_{};  // what append() returned
};

}  // namespace auditchain
