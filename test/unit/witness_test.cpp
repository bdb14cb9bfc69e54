#include "witness.h"

#include <gtest/gtest.h>

#include "malformed.h"
#include "merkle_proof.h"

namespace auditchain::test {
namespace {

constexpr const char* kLog = "6d9b7b2e-1f0a-4c55-9d51-6a2f3a5b8c10";

class WitnessTest : public testing::Test {
  protected:
    Digest leaf(std::uint64_t number, bool forged = false) {
        return leaf_hash(sha256, (forged ? "forged" : "leaf") + std::to_string(number));
    }

    Frontier tree(std::uint64_t size, std::uint64_t forged_from = UINT64_MAX) {
        Frontier frontier;
        for (std::uint64_t i = 0; i < size; ++i) {
            frontier.append(sha256, leaf(i, i >= forged_from));
        }
        return frontier;
    }

    std::vector<Digest> proof(std::uint64_t old_size, std::uint64_t new_size) {
        const ProofPlan plan = consistency_plan(old_size, new_size);
        std::vector<Digest> hashes;
        for (const Subtree& subtree : plan.subtrees()) {
            std::vector<Digest> leaves;
            for (std::uint64_t i = 0; i < std::uint64_t{1} << subtree.level; ++i) {
                leaves.push_back(leaf((subtree.index << subtree.level) + i));
            }
            hashes.push_back(complete_hash(sha256, leaves));
        }
        return plan.fold(sha256, hashes);
    }

    std::string note(const Frontier& frontier, std::string origin) {
        Note note{format_checkpoint(
                      {.origin = origin, .size = frontier.size(), .root = frontier.root(sha256)}),
                  {}};
        note.signatures.push_back(sign_note(sha256, note.text, origin, signer));
        note.signatures.push_back(cosign_note(sha256, note.text, origin, 1700000000, signer));
        return format_note(note);
    }

    VerifierKey key(std::string origin) {
        return {origin, SignatureType::ed25519, signer.public_key()};
    }

    WitnessVerdict judge(const Frontier& frontier, std::optional<std::uint64_t> last,
                         std::span<const Digest> proof = {}) {
        std::optional<WitnessedTree> tree_before;
        if (last) {
            tree_before = WitnessedTree{*last, tree(*last).root(sha256)};
        }
        return judge_checkpoint(sha256, kLog, key(origin), note(frontier, origin), tree_before,
                                proof)
            .verdict;
    }

    Sha256 sha256;
    Ed25519PrivateKey signer = Ed25519PrivateKey::generate();
    std::string origin = std::string("auditchain/") + kLog + "/1-0badcafe";
};

TEST_F(WitnessTest, AcceptsTheFirstAndWhatGoesOnFromTheLast) {
    EXPECT_EQ(judge(tree(0), {}), WitnessVerdict::accepted);
    EXPECT_EQ(judge(tree(7), {}), WitnessVerdict::accepted);
    EXPECT_EQ(judge(tree(7), 7), WitnessVerdict::accepted);
    EXPECT_EQ(judge(tree(20), 7, proof(7, 20)), WitnessVerdict::accepted);
    EXPECT_EQ(judge(tree(20), 0), WitnessVerdict::accepted);
}

TEST_F(WitnessTest, TellsTheTimeOfTheLog) {
    EXPECT_EQ(judge_checkpoint(sha256, kLog, key(origin), note(tree(3), origin), {}, {}).time,
              1700000000u);
}

TEST_F(WitnessTest, RefusesAShorterTree) {
    EXPECT_EQ(judge(tree(6), 7), WitnessVerdict::rolled_back);
    EXPECT_EQ(judge(tree(0), 7), WitnessVerdict::rolled_back);
}

TEST_F(WitnessTest, RefusesAnotherTree) {
    EXPECT_EQ(judge(tree(7, 6), 7), WitnessVerdict::forked);
    EXPECT_EQ(judge(tree(20, 3), 7, proof(7, 20)), WitnessVerdict::forked);
    EXPECT_EQ(judge(tree(20), 7), WitnessVerdict::forked) << "without a proof";
    EXPECT_EQ(judge(tree(20), 7, proof(8, 20)), WitnessVerdict::forked) << "with another proof";
}

TEST_F(WitnessTest, RefusesAnotherKey) {
    const std::string good = note(tree(7), origin);
    signer = Ed25519PrivateKey::generate();
    EXPECT_EQ(judge_checkpoint(sha256, kLog, key(origin), good, {}, {}).verdict,
              WitnessVerdict::bad_signature);
}

TEST_F(WitnessTest, RefusesAnotherLog) {
    const std::string other = "auditchain/00000000-0000-0000-0000-000000000000/1-0badcafe";
    EXPECT_EQ(judge_checkpoint(sha256, kLog, key(other), note(tree(7), other), {}, {}).verdict,
              WitnessVerdict::wrong_log);
}

// A signature does not cover the name of its line: the text's origin must be the name as well.
TEST_F(WitnessTest, RefusesARelabelledCheckpoint) {
    const std::string other = std::string("auditchain/") + kLog + "/2-0badcafe";
    Note relabelled = parse_note(note(tree(7), origin));
    relabelled.signatures[0] = sign_note(sha256, relabelled.text, other, signer);
    relabelled.signatures.pop_back();
    EXPECT_EQ(judge_checkpoint(sha256, kLog, key(other), format_note(relabelled), {}, {}).verdict,
              WitnessVerdict::wrong_log);
}

TEST_F(WitnessTest, ThrowsForWhatIsNoNote) {
    EXPECT_THROW(judge_checkpoint(sha256, kLog, key(origin), "no note", {}, {}), Malformed);
}

}  // namespace
}  // namespace auditchain::test
