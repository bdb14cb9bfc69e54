#pragma once

#include <cstdint>
#include <vector>

#include "digest.h"
#include "merkle.h"
#include "sha256.h"

namespace auditchain {

/// The leaves from begin() to before end() of a Merkle tree, as the hashes of the fewest complete
/// subtrees that they consist of: about two for each level. Ranges that follow each other can be
/// made apart, by several threads say, and put together.
class LeafRange {
  public:
    /// No leaves, at this place.
    explicit LeafRange(std::uint64_t begin = 0) : begin_(begin), end_(begin) {}

    std::uint64_t begin() const noexcept { return begin_; }
    std::uint64_t end() const noexcept { return end_; }

    /// Append a complete subtree. Throws std::invalid_argument unless it begins at end() and ends
    /// within kMaxTreeSize, std::runtime_error if OpenSSL fails.
    void append(Sha256& sha256, const SubtreeHash& subtree);

    /// Append the range that begins at end(). Throws as above.
    void append(Sha256& sha256, const LeafRange& next);

    /// Return the root of the tree of end() leaves. Throws std::invalid_argument unless begin() is
    /// 0, std::runtime_error if OpenSSL fails.
    Digest root(Sha256& sha256) const;

  private:
    std::uint64_t begin_;
    std::uint64_t end_;
    std::vector<SubtreeHash> subtrees_;
};

/// Return the biggest complete subtree that begins at leaf `first` and ends before or at `end`,
/// which is above `first`.
Subtree subtree_at(std::uint64_t first, std::uint64_t end) noexcept;

}  // namespace auditchain
