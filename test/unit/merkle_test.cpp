#include "merkle.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "core_fixture.h"
#include "malformed.h"
#include "vectors.h"

namespace auditchain {
namespace {

TEST(Merkle, AgreesWithCertificateTransparency) {
    Sha256 sha256;
    Frontier frontier;
    EXPECT_EQ(to_hex(frontier.root(sha256)),
              "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
    EXPECT_EQ(frontier.root(sha256), empty_root(sha256));
    for (const auto& vector : test::read_vectors("merkle_roots.jsonl")) {
        frontier.append(sha256, leaf_hash(sha256, test::unhex(vector["leaf"].get<std::string>())));
        EXPECT_EQ(to_hex(frontier.root(sha256)), vector["root"].get<std::string>());
    }
}

TEST(Merkle, StoresEverySubtreeOnceAndNeedsNoMore) {
    Sha256 sha256;
    test::StoredTree tree(sha256);
    // 2^16 + 2^8 + 3 leaves: levels 8 and 16 get hashes, which StoredTree checks to be in order.
    for (std::uint64_t i = 0; i < 65795; ++i) {
        tree.append(leaf_hash(sha256, std::to_string(i)));
    }
    EXPECT_EQ(tree.hash({16, 0}), tree.root(65536));
    EXPECT_EQ(tree.hash({15, 0}), tree.root(32768));
    EXPECT_EQ(tree.hash({8, 0}), tree.root(256));
    EXPECT_EQ(tree.hash({7, 0}), tree.root(128));
    EXPECT_EQ(tree.hash({0, 65794}), tree.leaf(65794));
    std::string bytes;
    for (const Digest& hash : tree.hashes(frontier_subtrees(65795))) {
        bytes.append(reinterpret_cast<const char*>(hash.bytes.data()), hash.bytes.size());
    }
    EXPECT_EQ(bytes, tree.frontier().bytes());
    EXPECT_EQ(Frontier(65795, bytes).root(sha256), tree.root(65795));
}

TEST(Merkle, StoredLevelsAreMultiplesOfEight) {
    EXPECT_EQ(stored_below({0, 5}), (SubtreeRun{0, 5, 1}));
    EXPECT_EQ(stored_below({3, 5}), (SubtreeRun{0, 40, 8}));
    EXPECT_EQ(stored_below({8, 5}), (SubtreeRun{8, 5, 1}));
    EXPECT_EQ(stored_below({12, 1}), (SubtreeRun{8, 16, 16}));
    EXPECT_EQ(stored_below({15, 1}), (SubtreeRun{8, 128, 128}));
    EXPECT_EQ(stored_below({62, 0}), (SubtreeRun{56, 0, 64}));
}

TEST(Merkle, FrontierHasASubtreeForEachBit) {
    EXPECT_EQ(frontier_subtrees(0).size(), 0u);
    const SubtreeList list = frontier_subtrees(13);
    EXPECT_EQ(std::vector<Subtree>(list.begin(), list.end()),
              (std::vector<Subtree>{{3, 0}, {2, 2}, {0, 12}}));
    EXPECT_EQ(frontier_subtrees(kMaxTreeSize).size(), 63u);
}

TEST(Merkle, FrontierGoesOnWhereItWasWrittenDown) {
    Sha256 sha256;
    Frontier frontier;
    for (std::uint64_t size = 0; size <= 300; ++size) {
        ASSERT_EQ(frontier.size(), size);
        Frontier copy(size, frontier.bytes());
        EXPECT_EQ(copy.root(sha256), frontier.root(sha256));
        const Digest hash = leaf_hash(sha256, std::to_string(size));
        frontier.append(sha256, hash);
        copy.append(sha256, hash);
        EXPECT_EQ(copy.root(sha256), frontier.root(sha256));
        EXPECT_EQ(copy.bytes(), frontier.bytes());
    }
}

TEST(Merkle, FrontierMustFitItsSize) {
    EXPECT_THROW(Frontier(0, std::string(32, 'x')), Malformed);
    EXPECT_THROW(Frontier(3, std::string(32, 'x')), Malformed);
    EXPECT_THROW(Frontier(3, std::string(63, 'x')), Malformed);
    EXPECT_THROW(Frontier(4, std::string(64, 'x')), Malformed);
    EXPECT_THROW(Frontier(kMaxTreeSize + 1, std::string(32, 'x')), Malformed);
    EXPECT_EQ(Frontier(3, std::string(64, 'x')).size(), 3u);
}

TEST(Merkle, HasALastLeaf) {
    Sha256 sha256;
    Frontier almost(kMaxTreeSize - 1, std::string(62 * 32, 'x'));
    EXPECT_TRUE(almost.append(sha256, {}).empty());
    EXPECT_EQ(almost.size(), kMaxTreeSize);
    EXPECT_THROW(almost.append(sha256, {}), std::length_error);
    EXPECT_EQ(almost.size(), kMaxTreeSize);
    Frontier half(kMaxTreeSize / 2, std::string(62 * 32, 'x'));
    EXPECT_EQ(half.append(sha256, {}).size(), 7u) << "levels 8, 16 … 56";
}

TEST(Merkle, SubtreesAreAppendedAsTheirLeavesAre) {
    Sha256 sha256;
    Frontier leaves;
    Frontier subtrees;
    for (const int level : {3, 0, 0, 1, 2, 4, 5, 0, 0, 1, 2, 3, 4, 5, 6, 7, 8, 8}) {
        const std::uint64_t first = subtrees.size();
        if (first % (std::uint64_t{1} << level) != 0) {
            EXPECT_THROW(subtrees.append_subtree(sha256, level, {}), std::invalid_argument);
            continue;
        }
        Frontier subtree;
        for (std::uint64_t i = first; i < first + (std::uint64_t{1} << level); ++i) {
            const Digest hash = leaf_hash(sha256, std::to_string(i));
            leaves.append(sha256, hash);
            subtree.append(sha256, hash);
        }
        subtrees.append_subtree(sha256, level, subtree.root(sha256));
        ASSERT_EQ(subtrees.size(), leaves.size());
        EXPECT_EQ(subtrees.bytes(), leaves.bytes());
    }
    EXPECT_GT(subtrees.size(), 16u);
}

TEST(Merkle, CompleteSubtreesHaveAPowerOfTwoOfNodes) {
    Sha256 sha256;
    std::vector<Digest> nodes(3);
    EXPECT_THROW(complete_hash(sha256, nodes), std::invalid_argument);
    nodes.clear();
    EXPECT_THROW(complete_hash(sha256, nodes), std::invalid_argument);
}

}  // namespace
}  // namespace auditchain
