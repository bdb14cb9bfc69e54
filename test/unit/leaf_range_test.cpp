#include <stdexcept>
#include <vector>

#include <gtest/gtest.h>

#include "core_fixture.h"
#include "leaf_range.h"
#include "random.h"

namespace auditchain::test {
namespace {

StoredTree tree_of(Sha256& sha256, std::uint64_t size) {
    StoredTree tree(sha256);
    for (std::uint64_t i = 0; i < size; ++i) {
        tree.append(leaf_hash(sha256, std::to_string(i)));
    }
    return tree;
}

TEST(LeafRange, WithoutLeavesHasTheEmptyRoot) {
    Sha256 sha256;
    EXPECT_EQ(LeafRange().root(sha256), empty_root(sha256));
}

TEST(LeafRange, SubtreesOfAnySizeGiveTheRoot) {
    Sha256 sha256;
    Random random;
    const StoredTree tree = tree_of(sha256, 1000);
    for (int round = 0; round < 300; ++round) {
        const std::uint64_t size = 1 + random(1000);
        LeafRange leaves;
        while (leaves.end() < size) {
            // Sometimes less than what would fit.
            const std::uint64_t end = leaves.end() + 1 + random(size - leaves.end());
            const Subtree subtree = subtree_at(leaves.end(), end);
            leaves.append(sha256, {subtree, tree.hash(subtree)});
        }
        ASSERT_EQ(leaves.root(sha256), tree.root(size)) << size;
    }
}

TEST(LeafRange, RangesArePutTogether) {
    Sha256 sha256;
    Random random;
    const StoredTree tree = tree_of(sha256, 500);
    for (int round = 0; round < 100; ++round) {
        LeafRange whole;
        while (whole.end() < 500) {
            LeafRange part(whole.end());
            const std::uint64_t end = part.begin() + random(501 - part.begin());
            while (part.end() < end) {
                part.append(sha256, {{0, part.end()}, tree.leaf(part.end())});
            }
            whole.append(sha256, part);
        }
        ASSERT_EQ(whole.root(sha256), tree.root(500));
    }
}

TEST(LeafRange, RefusesWhatDoesNotFollow) {
    Sha256 sha256;
    LeafRange leaves(6);
    EXPECT_THROW(leaves.append(sha256, {{0, 5}, {}}), std::invalid_argument);
    EXPECT_THROW(leaves.append(sha256, {{0, 7}, {}}), std::invalid_argument);
    EXPECT_THROW(leaves.append(sha256, {{63, 0}, {}}), std::invalid_argument);
    EXPECT_THROW(leaves.append(sha256, {{62, kMaxTreeSize}, {}}), std::invalid_argument);
    EXPECT_THROW(leaves.append(sha256, LeafRange(7)), std::invalid_argument);
    leaves.append(sha256, {{1, 3}, {}});
    EXPECT_EQ(leaves.end(), 8U);
    EXPECT_THROW(leaves.root(sha256), std::invalid_argument);
    LeafRange full;
    for (int level = 62; level >= 0; --level) {
        full.append(sha256, {subtree_at(full.end(), kMaxTreeSize), {}});
    }
    EXPECT_EQ(full.end(), kMaxTreeSize);
    EXPECT_THROW(full.append(sha256, {{0, kMaxTreeSize}, {}}), std::invalid_argument);
}

TEST(SubtreeAt, IsTheBiggestThatFits) {
    EXPECT_EQ(subtree_at(0, 1), (Subtree{0, 0}));
    EXPECT_EQ(subtree_at(0, 7), (Subtree{2, 0}));
    EXPECT_EQ(subtree_at(4, 7), (Subtree{1, 2}));
    EXPECT_EQ(subtree_at(6, 100), (Subtree{1, 3}));
    EXPECT_EQ(subtree_at(8, 15), (Subtree{2, 2}));
    EXPECT_EQ(subtree_at(0, kMaxTreeSize), (Subtree{62, 0}));
}

}  // namespace
}  // namespace auditchain::test
