#include "merkle_proof.h"

#include <bit>
#include <stdexcept>

namespace auditchain {
namespace {

/// Where RFC 6962 splits n > 1 leaves: at the biggest power of two below n.
constexpr std::uint64_t split(std::uint64_t n) noexcept {
    return std::bit_floor(n - 1);
}

/// PATH(index, D[first:end]) of RFC 6962 section 2.1.1.
void add_path(ProofPlan& plan, std::uint64_t index, std::uint64_t first, std::uint64_t end) {
    if (end - first == 1) {
        return;
    }
    const std::uint64_t middle = first + split(end - first);
    if (index < middle) {
        add_path(plan, index, first, middle);
        plan.add(middle, end);
    } else {
        add_path(plan, index, middle, end);
        plan.add(first, middle);
    }
}

/// SUBPROOF(old_end - first, D[first:end], known) of RFC 6962 section 2.1.2: `known` says that the
/// verifier has the hash of the leaves from first to before old_end, as root of the old tree.
void add_subproof(ProofPlan& plan, std::uint64_t old_end, std::uint64_t first, std::uint64_t end,
                  bool known) {
    if (old_end == end) {
        if (!known) {
            plan.add(first, end);
        }
        return;
    }
    const std::uint64_t middle = first + split(end - first);
    if (old_end <= middle) {
        add_subproof(plan, old_end, first, middle, known);
        plan.add(middle, end);
    } else {
        add_subproof(plan, old_end, middle, end, false);
        plan.add(first, middle);
    }
}

/// A place in a tree while a proof is followed from the bottom up: a node and the last node of its
/// level. RFC 9162 calls them fn and sn.
struct Place {
    std::uint64_t node;
    std::uint64_t last;

    bool is_right() const noexcept { return (node & 1) != 0; }
    bool is_root() const noexcept { return last == 0; }
    void rise() noexcept {
        node >>= 1;
        last >>= 1;
    }

    /// Whether the next hash of the proof stands on the left. If so, rise past the levels where
    /// the node, being last and alone, has no sibling.
    bool takes_left() noexcept {
        if (!is_right() && node != last) {
            return false;
        }
        while (!is_right() && node != 0) {
            rise();
        }
        return true;
    }
};

}  // namespace

void ProofPlan::add(std::uint64_t first, std::uint64_t end) noexcept {
    while (first < end) {
        const int level = std::bit_width(end - first) - 1;
        subtrees_.push_back({level, first >> level});
        first += std::uint64_t{1} << level;
    }
    ends_[size_++] = static_cast<std::uint8_t>(subtrees_.size());
}

std::vector<Digest> ProofPlan::fold(Sha256& sha256, std::span<const Digest> hashes) const {
    if (hashes.size() != subtrees_.size()) {
        throw std::invalid_argument("not as many hashes as the proof has subtrees");
    }
    std::vector<Digest> proof(size_);
    std::size_t begin = 0;
    for (std::size_t i = 0; i < size_; ++i) {
        std::size_t next = ends_[i];
        proof[i] = hashes[--next];
        while (next > begin) {
            proof[i] = node_hash(sha256, hashes[--next], proof[i]);
        }
        begin = ends_[i];
    }
    return proof;
}

ProofPlan inclusion_plan(std::uint64_t index, std::uint64_t size) {
    if (index >= size || size > kMaxTreeSize) {
        throw std::invalid_argument("no such leaf in a tree of this size");
    }
    ProofPlan plan;
    add_path(plan, index, 0, size);
    return plan;
}

ProofPlan consistency_plan(std::uint64_t old_size, std::uint64_t new_size) {
    if (old_size > new_size || new_size > kMaxTreeSize) {
        throw std::invalid_argument("the old tree is bigger than the new");
    }
    ProofPlan plan;
    if (old_size > 0) {
        add_subproof(plan, old_size, 0, new_size, true);
    }
    return plan;
}

bool verify_inclusion(Sha256& sha256, const Digest& leaf_hash, std::uint64_t index,
                      std::uint64_t size, std::span<const Digest> proof, const Digest& root) {
    if (index >= size) {
        return false;
    }
    Place place{index, size - 1};
    Digest hash = leaf_hash;
    for (const Digest& sibling : proof) {
        if (place.is_root()) {
            return false;
        }
        hash = place.takes_left() ? node_hash(sha256, sibling, hash)
                                  : node_hash(sha256, hash, sibling);
        place.rise();
    }
    return place.is_root() && hash == root;
}

bool verify_consistency(Sha256& sha256, std::uint64_t old_size, const Digest& old_root,
                        std::uint64_t new_size, const Digest& new_root,
                        std::span<const Digest> proof) {
    if (old_size > new_size) {
        return false;
    }
    if (old_size == 0 || old_size == new_size) {
        const bool old_is_right = old_size > 0 || old_root == empty_root(sha256);
        return proof.empty() && old_is_right && (old_size < new_size || old_root == new_root);
    }
    Place place{old_size - 1, new_size - 1};
    while (place.is_right()) {
        place.rise();
    }
    // Now at the smallest subtree of the old tree's frontier: the whole of a tree of 2^n leaves,
    // whose hash the verifier knows; else the proof begins with it.
    Digest old_hash = old_root;
    if (!std::has_single_bit(old_size)) {
        if (proof.empty()) {
            return false;
        }
        old_hash = proof.front();
        proof = proof.subspan(1);
    }
    Digest new_hash = old_hash;
    for (const Digest& sibling : proof) {
        if (place.is_root()) {
            return false;
        }
        if (place.takes_left()) {
            old_hash = node_hash(sha256, sibling, old_hash);
            new_hash = node_hash(sha256, sibling, new_hash);
        } else {
            new_hash = node_hash(sha256, new_hash, sibling);
        }
        place.rise();
    }
    return place.is_root() && old_hash == old_root && new_hash == new_root;
}

}  // namespace auditchain
