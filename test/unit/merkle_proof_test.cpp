// Every proof of every tree of up to 300 leaves, against the definitions of RFC 6962 section 2.1
// written down once more, slowly.
#include "merkle_proof.h"

#include <gtest/gtest.h>

#include <map>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "core_fixture.h"
#include "vectors.h"

namespace auditchain {
namespace {

constexpr std::uint64_t kLeaves = 300;

/// The definitions, by recursion over ranges of leaves. Remembers hashes, or it would take hours.
class Reference {
  public:
    explicit Reference(Sha256& sha256) : sha256_(&sha256) {}

    Digest root(std::uint64_t first, std::uint64_t end) {
        if (const auto known = known_.find({first, end}); known != known_.end()) {
            return known->second;
        }
        const std::uint64_t k = split(end - first);
        const Digest hash = end - first == 1
                                ? leaf_hash(*sha256_, std::to_string(first))
                                : node_hash(*sha256_, root(first, first + k), root(first + k, end));
        known_[{first, end}] = hash;
        return hash;
    }

    std::vector<Digest> path(std::uint64_t m, std::uint64_t first, std::uint64_t end) {
        if (end - first == 1) {
            return {};
        }
        const std::uint64_t k = split(end - first);
        if (m < k) {
            return with(path(m, first, first + k), root(first + k, end));
        }
        return with(path(m - k, first + k, end), root(first, first + k));
    }

    std::vector<Digest> subproof(std::uint64_t m, std::uint64_t first, std::uint64_t end, bool b) {
        if (m == end - first) {
            return b ? std::vector<Digest>{} : std::vector<Digest>{root(first, end)};
        }
        const std::uint64_t k = split(end - first);
        if (m <= k) {
            return with(subproof(m, first, first + k, b), root(first + k, end));
        }
        return with(subproof(m - k, first + k, end, false), root(first, first + k));
    }

  private:
    static std::uint64_t split(std::uint64_t n) {
        std::uint64_t k = 1;
        while (2 * k < n) {
            k *= 2;
        }
        return k;
    }

    static std::vector<Digest> with(std::vector<Digest> list, const Digest& last) {
        list.push_back(last);
        return list;
    }

    Sha256* sha256_;
    std::map<std::pair<std::uint64_t, std::uint64_t>, Digest> known_;
};

class MerkleProof : public testing::Test {
  protected:
    MerkleProof() {
        for (std::uint64_t i = 0; i < kLeaves; ++i) {
            tree.append(leaf_hash(sha256, std::to_string(i)));
        }
    }

    std::vector<Digest> prove(const ProofPlan& plan) {
        return plan.fold(sha256, tree.hashes(plan.subtrees()));
    }

    Sha256 sha256;
    test::StoredTree tree{sha256};
    Reference reference{sha256};
};

/// Call `check` with every change of a proof that a verifier must refuse: each hash changed or
/// left out, the last doubled, one more in front, two swapped.
template <class Check>
void for_each_damage(const std::vector<Digest>& proof, Check check) {
    for (std::size_t i = 0; i < proof.size(); ++i) {
        auto damaged = proof;
        damaged[i].bytes[i % 32] ^= 1;
        check(damaged);
        damaged = proof;
        damaged.erase(damaged.begin() + static_cast<std::ptrdiff_t>(i));
        check(damaged);
        if (i > 0) {
            damaged = proof;
            std::swap(damaged[i], damaged[i - 1]);
            check(damaged);
        }
    }
    auto damaged = proof;
    damaged.push_back(proof.empty() ? Digest{} : proof.back());
    check(damaged);
    damaged = proof;
    damaged.insert(damaged.begin(), Digest{});
    check(damaged);
}

TEST_F(MerkleProof, RootsAreThoseOfTheDefinition) {
    for (std::uint64_t size = 1; size <= kLeaves; ++size) {
        ASSERT_EQ(tree.root(size), reference.root(0, size)) << size;
    }
}

TEST_F(MerkleProof, InclusionIsThatOfTheDefinition) {
    for (std::uint64_t size = 1; size <= kLeaves; ++size) {
        for (std::uint64_t index = 0; index < size; ++index) {
            const auto proof = prove(inclusion_plan(index, size));
            ASSERT_EQ(proof, reference.path(index, 0, size)) << index << " of " << size;
            ASSERT_TRUE(
                verify_inclusion(sha256, tree.leaf(index), index, size, proof, tree.root(size)))
                << index << " of " << size;
        }
    }
}

TEST_F(MerkleProof, DamagedInclusionIsRefused) {
    for (std::uint64_t size = 1; size <= 70; ++size) {
        for (std::uint64_t index = 0; index < size; ++index) {
            const auto proof = prove(inclusion_plan(index, size));
            const auto included = [&](const Digest& leaf, std::uint64_t at, const auto& hashes,
                                      const Digest& root) {
                return verify_inclusion(sha256, leaf, at, size, hashes, root);
            };
            for_each_damage(proof, [&](const auto& damaged) {
                ASSERT_FALSE(included(tree.leaf(index), index, damaged, tree.root(size)));
            });
            ASSERT_FALSE(included(tree.leaf(index + 1), index, proof, tree.root(size)));
            ASSERT_FALSE(included(tree.leaf(index), index, proof, tree.root(size + 1)));
            for (std::uint64_t other = 0; other <= size; ++other) {
                ASSERT_EQ(included(tree.leaf(index), other, proof, tree.root(size)),
                          other == index);
            }
        }
    }
}

TEST_F(MerkleProof, ConsistencyIsThatOfTheDefinition) {
    for (std::uint64_t size = 1; size <= kLeaves; ++size) {
        for (std::uint64_t old = 1; old <= size; ++old) {
            const auto proof = prove(consistency_plan(old, size));
            ASSERT_EQ(proof, reference.subproof(old, 0, size, true)) << old << " of " << size;
            ASSERT_TRUE(
                verify_consistency(sha256, old, tree.root(old), size, tree.root(size), proof))
                << old << " of " << size;
        }
    }
}

TEST_F(MerkleProof, DamagedConsistencyIsRefused) {
    for (std::uint64_t size = 1; size <= 70; ++size) {
        for (std::uint64_t old = 1; old <= size; ++old) {
            const auto proof = prove(consistency_plan(old, size));
            for_each_damage(proof, [&](const auto& damaged) {
                ASSERT_FALSE(verify_consistency(sha256, old, tree.root(old), size, tree.root(size),
                                                damaged));
            });
            ASSERT_FALSE(
                verify_consistency(sha256, old, tree.root(old + 1), size, tree.root(size), proof));
            ASSERT_FALSE(
                verify_consistency(sha256, old, tree.root(old), size, tree.root(size + 1), proof));
            ASSERT_FALSE(
                verify_consistency(sha256, size + 1, tree.root(old), size, tree.root(size), proof));
        }
    }
}

TEST_F(MerkleProof, NothingIsThePrefixOfEverything) {
    const std::vector<Digest> proof;
    const Digest nothing = empty_root(sha256);
    EXPECT_EQ(consistency_plan(0, 7).size(), 0u);
    EXPECT_TRUE(verify_consistency(sha256, 0, nothing, 7, tree.root(7), proof));
    EXPECT_TRUE(verify_consistency(sha256, 0, nothing, 0, nothing, proof));
    EXPECT_FALSE(verify_consistency(sha256, 0, tree.root(1), 7, tree.root(7), proof));
    EXPECT_FALSE(verify_consistency(sha256, 0, nothing, 0, tree.root(1), proof));
    EXPECT_FALSE(verify_consistency(sha256, 0, tree.root(1), 0, tree.root(1), proof));
    EXPECT_FALSE(verify_consistency(sha256, 0, nothing, 7, tree.root(7), std::vector{nothing}));
    EXPECT_FALSE(verify_inclusion(sha256, tree.leaf(0), 0, 0, proof, nothing));
}

TEST_F(MerkleProof, EqualSizesNeedEqualRoots) {
    const std::vector<Digest> proof;
    EXPECT_TRUE(verify_consistency(sha256, 5, tree.root(5), 5, tree.root(5), proof));
    EXPECT_FALSE(verify_consistency(sha256, 5, tree.root(5), 5, tree.root(6), proof));
}

TEST_F(MerkleProof, AgreesWithCertificateTransparency) {
    test::StoredTree published(sha256);
    for (const auto& vector : test::read_vectors("merkle_roots.jsonl")) {
        published.append(leaf_hash(sha256, test::unhex(vector["leaf"].get<std::string>())));
    }
    for (const auto& vector : test::read_vectors("merkle_proofs.jsonl")) {
        std::vector<Digest> expected;
        for (const auto& hash : vector["proof"]) {
            expected.push_back(test::digest_from_hex(hash.get<std::string>()));
        }
        const auto size = vector["size"].get<std::uint64_t>();
        const ProofPlan plan =
            vector["kind"] == "inclusion"
                ? inclusion_plan(vector["index"].get<std::uint64_t>(), size)
                : consistency_plan(vector["old_size"].get<std::uint64_t>(), size);
        EXPECT_EQ(plan.fold(sha256, published.hashes(plan.subtrees())), expected) << vector;
    }
}

TEST_F(MerkleProof, TheBiggestTreeHasPlans) {
    EXPECT_EQ(inclusion_plan(0, kMaxTreeSize).size(), 63u);
    EXPECT_EQ(inclusion_plan(0, kMaxTreeSize).subtrees().size(), 62u + 62u);
    EXPECT_EQ(inclusion_plan(kMaxTreeSize - 1, kMaxTreeSize).size(), 62u);
    EXPECT_EQ(consistency_plan(1, kMaxTreeSize).subtrees().size(), 62u + 62u);
    EXPECT_EQ(consistency_plan((kMaxTreeSize >> 1) - 1, kMaxTreeSize).size(), 63u);
    EXPECT_EQ(consistency_plan((kMaxTreeSize >> 1) - 1, kMaxTreeSize).subtrees().size(), 124u);
}

TEST_F(MerkleProof, ImpossiblePlansAreRefused) {
    EXPECT_THROW(inclusion_plan(0, 0), std::invalid_argument);
    EXPECT_THROW(inclusion_plan(5, 5), std::invalid_argument);
    EXPECT_THROW(inclusion_plan(5, kMaxTreeSize + 1), std::invalid_argument);
    EXPECT_THROW(consistency_plan(6, 5), std::invalid_argument);
    EXPECT_THROW(consistency_plan(6, kMaxTreeSize + 1), std::invalid_argument);
    const ProofPlan plan = inclusion_plan(0, 7);
    EXPECT_THROW(plan.fold(sha256, std::vector<Digest>(plan.subtrees().size() - 1)),
                 std::invalid_argument);
    EXPECT_THROW(plan.fold(sha256, std::vector<Digest>(plan.subtrees().size() + 1)),
                 std::invalid_argument);
}

}  // namespace
}  // namespace auditchain
