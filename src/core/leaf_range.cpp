#include "leaf_range.h"

#include <algorithm>
#include <bit>
#include <stdexcept>

namespace auditchain {

void LeafRange::append(Sha256& sha256, const SubtreeHash& subtree) {
    const auto [level, index] = subtree.subtree;
    if (level < 0 || level > 62 || index > (kMaxTreeSize >> level) || index << level != end_ ||
        (std::uint64_t{1} << level) > kMaxTreeSize - end_) {
        throw std::invalid_argument("a subtree does not begin where the leaves before it end");
    }
    subtrees_.push_back(subtree);
    // Two children of one node are replaced by that node.
    while (subtrees_.size() > 1) {
        const SubtreeHash& right = subtrees_.back();
        const SubtreeHash& left = subtrees_[subtrees_.size() - 2];
        if (left.subtree.level != right.subtree.level || right.subtree.index % 2 == 0) {
            break;
        }
        const SubtreeHash node{{left.subtree.level + 1, left.subtree.index / 2},
                               node_hash(sha256, left.hash, right.hash)};
        subtrees_.pop_back();
        subtrees_.back() = node;
    }
    end_ += std::uint64_t{1} << level;
}

void LeafRange::append(Sha256& sha256, const LeafRange& next) {
    if (next.begin_ != end_) {
        throw std::invalid_argument("leaves do not begin where those before them end");
    }
    for (const SubtreeHash& subtree : next.subtrees_) {
        append(sha256, subtree);
    }
}

Digest LeafRange::root(Sha256& sha256) const {
    if (begin_ != 0) {
        throw std::invalid_argument("only leaves from the first on have a root");
    }
    if (subtrees_.empty()) {
        return empty_root(sha256);
    }
    Digest root = subtrees_.back().hash;
    for (std::size_t i = subtrees_.size() - 1; i-- > 0;) {
        root = node_hash(sha256, subtrees_[i].hash, root);
    }
    return root;
}

Subtree subtree_at(std::uint64_t first, std::uint64_t end) noexcept {
    const int fits = std::bit_width(end - first) - 1;
    const int level = first == 0 ? fits : std::min(std::countr_zero(first), fits);
    return {level, first >> level};
}

}  // namespace auditchain
