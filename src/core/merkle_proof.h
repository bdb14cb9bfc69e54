#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <span>
#include <vector>

#include "digest.h"
#include "merkle.h"
#include "sha256.h"

namespace auditchain {

/// What a proof is made of: its hashes in order, each of a range of leaves, and each range as the
/// complete subtrees that it consists of, from left to right. Plain data.
///
///     const ProofPlan plan = inclusion_plan(index, size);
///     for (const Subtree& subtree : plan.subtrees()) { ... read or compute its hash ... }
///     const std::vector<Digest> proof = plan.fold(sha256, hashes);
class ProofPlan {
  public:
    /// The subtrees whose hashes fold() needs. Those that are leaves or not at stored levels are
    /// computed from stored_below().
    const SubtreeList& subtrees() const noexcept { return subtrees_; }

    /// How many hashes the proof has.
    std::size_t size() const noexcept { return size_; }

    /// Return the proof, given the hashes of subtrees() in the same order.
    /// Throws std::invalid_argument if their number is wrong, std::runtime_error if OpenSSL fails.
    std::vector<Digest> fold(Sha256& sha256, std::span<const Digest> hashes) const;

    /// Append the hash of the leaves from `first` to before `end`, where `first` is a multiple of
    /// the biggest power of two that is not above their number.
    void add(std::uint64_t first, std::uint64_t end) noexcept;

  private:
    SubtreeList subtrees_;
    std::array<std::uint8_t, 64> ends_{};  // where in subtrees_ each hash of the proof ends
    std::size_t size_ = 0;
};

/// Plan the proof that the leaf `index` is in the tree of `size` leaves: its audit path from the
/// leaf up (RFC 6962 section 2.1.1, RFC 9162 section 2.1.3.1).
/// Throws std::invalid_argument unless index < size <= kMaxTreeSize.
ProofPlan inclusion_plan(std::uint64_t index, std::uint64_t size);

/// Plan the proof that the tree of `new_size` leaves begins with that of `old_size` leaves (RFC
/// 6962 section 2.1.2, RFC 9162 section 2.1.4.1). It is empty if the old tree is, or is the new.
/// Throws std::invalid_argument unless old_size <= new_size <= kMaxTreeSize.
ProofPlan consistency_plan(std::uint64_t old_size, std::uint64_t new_size);

/// Whether the proof shows that the leaf with this hash is leaf `index` of the tree of `size`
/// leaves with this root (RFC 9162 section 2.1.3.2). A proof of any other length than the one that
/// index and size ask for is false. Throws std::runtime_error if OpenSSL fails.
bool verify_inclusion(Sha256& sha256, const Digest& leaf_hash, std::uint64_t index,
                      std::uint64_t size, std::span<const Digest> proof, const Digest& root);

/// Whether the proof shows that the tree of `old_size` leaves with root `old_root` is the beginning
/// of the tree of `new_size` leaves with root `new_root` (RFC 9162 section 2.1.4.2).
///
/// Two cases that the RFC leaves out: equal sizes need equal roots and an empty proof; a tree
/// without leaves needs its own root, empty_root(), and an empty proof. A new size below the old is
/// false. Throws std::runtime_error if OpenSSL fails.
bool verify_consistency(Sha256& sha256, std::uint64_t old_size, const Digest& old_root,
                        std::uint64_t new_size, const Digest& new_root,
                        std::span<const Digest> proof);

}  // namespace auditchain
