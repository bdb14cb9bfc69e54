#include "merkle.h"

#include <bit>
#include <cstring>
#include <stdexcept>

#include "malformed.h"

namespace auditchain {
namespace {

std::string_view view(const Digest& digest) noexcept {
    return {reinterpret_cast<const char*>(digest.bytes.data()), digest.bytes.size()};
}

}  // namespace

Digest leaf_hash(Sha256& sha256, std::string_view leaf) {
    return sha256({std::string_view("\x00", 1), leaf});
}

Digest node_hash(Sha256& sha256, const Digest& left, const Digest& right) {
    return sha256({"\x01", view(left), view(right)});
}

Digest empty_root(Sha256& sha256) {
    return sha256({});
}

SubtreeRun stored_below(const Subtree& subtree) noexcept {
    const int height = subtree.level % kStoredLevels;
    return {subtree.level - height, subtree.index << height, std::uint64_t{1} << height};
}

Digest complete_hash(Sha256& sha256, std::span<Digest> nodes) {
    if (!std::has_single_bit(nodes.size())) {
        throw std::invalid_argument("a complete subtree has a power of two of nodes at each level");
    }
    for (std::size_t n = nodes.size() / 2; n > 0; n /= 2) {
        for (std::size_t i = 0; i < n; ++i) {
            nodes[i] = node_hash(sha256, nodes[2 * i], nodes[2 * i + 1]);
        }
    }
    return nodes[0];
}

SubtreeList frontier_subtrees(std::uint64_t size) noexcept {
    SubtreeList list;
    for (int level = std::bit_width(size) - 1; level >= 0; --level) {
        if ((size >> level & 1) != 0) {
            list.push_back({level, (size >> level) - 1});  // all bits above are subtrees before it
        }
    }
    return list;
}

Frontier::Frontier(std::uint64_t size, std::string_view bytes)
    : size_(size), count_(static_cast<std::size_t>(std::popcount(size))) {
    if (size > kMaxTreeSize || bytes.size() != count_ * sizeof(Digest)) {
        throw Malformed("the frontier of a tree does not fit its size");
    }
    for (std::size_t i = 0; i < count_; ++i) {
        std::memcpy(hashes_[i].bytes.data(), bytes.data() + i * sizeof(Digest), sizeof(Digest));
    }
}

std::string Frontier::bytes() const {
    std::string bytes;
    for (std::size_t i = 0; i < count_; ++i) {
        bytes += view(hashes_[i]);
    }
    return bytes;
}

std::span<const SubtreeHash> Frontier::append(Sha256& sha256, const Digest& leaf_hash) {
    return append_subtree(sha256, 0, leaf_hash);
}

std::span<const SubtreeHash> Frontier::append_subtree(Sha256& sha256, int level,
                                                      const Digest& subtree) {
    const std::uint64_t leaves = std::uint64_t{1} << level;
    if (size_ % leaves != 0) {
        throw std::invalid_argument("a subtree does not begin where the tree ends");
    }
    if (leaves > kMaxTreeSize - size_) {
        throw std::length_error("the tree is full");
    }
    Digest hash = subtree;
    std::size_t count = count_;
    std::size_t done = 0;
    // Every 1 of the size from here on is a subtree that the new one of its size completes.
    while ((size_ >> level & 1) != 0) {
        hash = node_hash(sha256, hashes_[--count], hash);
        ++level;
        if (level % kStoredLevels == 0) {
            done_[done++] = {{level, size_ >> level}, hash};
        }
    }
    hashes_[count] = hash;
    count_ = count + 1;
    size_ += leaves;
    return std::span(done_).first(done);
}

Digest Frontier::root(Sha256& sha256) const {
    if (count_ == 0) {
        return empty_root(sha256);
    }
    Digest root = hashes_[count_ - 1];
    for (std::size_t i = count_ - 1; i-- > 0;) {
        root = node_hash(sha256, hashes_[i], root);
    }
    return root;
}

}  // namespace auditchain
