#include "tlog_proof.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <vector>

#include "core_fixture.h"
#include "malformed.h"
#include "merkle.h"
#include "merkle_proof.h"
#include "vectors.h"

namespace auditchain {
namespace {

const std::string kOrigin = "example.com/log";

std::string leaf_of(std::uint64_t index) {
    return "leaf " + std::to_string(index) + "\n";
}

std::string complaint(std::string_view text) {
    try {
        parse_tlog_proof(text);
    } catch (const Malformed& malformed) {
        return malformed.what();
    }
    return "none";
}

class TlogProofTest : public testing::Test {
  protected:
    TlogProofTest() {
        for (std::uint64_t i = 0; i < 13; ++i) {
            tree.append(leaf_hash(sha256, leaf_of(i)));
        }
    }

    std::string checkpoint(const std::string& origin, std::uint64_t size,
                           const std::string& signer) {
        const std::string text = format_checkpoint({origin, size, tree.root(size)});
        return format_note({text, {sign_note(sha256, text, signer, test::test_key('1'))}});
    }

    TlogProof prove(std::uint64_t index, std::uint64_t size) {
        const ProofPlan plan = inclusion_plan(index, size);
        return {index, plan.fold(sha256, tree.hashes(plan.subtrees())),
                checkpoint(kOrigin, size, kOrigin)};
    }

    ProofCheck check(const TlogProof& proof, std::uint64_t leaf) {
        return verify_tlog_proof(sha256, format_tlog_proof(proof), leaf_of(leaf), key()).check;
    }

    VerifierKey key(const std::string& name = kOrigin, char number = '1') {
        return {name, SignatureType::ed25519, test::test_key(number).public_key()};
    }

    Sha256 sha256;
    test::StoredTree tree{sha256};
};

TEST_F(TlogProofTest, HasTheFormOfC2sp) {
    TlogProof proof = prove(5, 13);
    std::string hashes;
    for (const Digest& hash : proof.hashes) {
        hashes += to_base64(hash) + "\n";
    }
    EXPECT_EQ(format_tlog_proof(proof),
              "c2sp.org/tlog-proof@v1\nindex 5\n" + hashes + "\n" + proof.checkpoint);
    proof.extra = std::string("\0extra", 6);
    EXPECT_EQ(format_tlog_proof(proof), "c2sp.org/tlog-proof@v1\nextra AGV4dHJh\nindex 5\n" +
                                            hashes + "\n" + proof.checkpoint);
    EXPECT_EQ(parse_tlog_proof(format_tlog_proof(proof)), proof);
}

TEST_F(TlogProofTest, IsValidForItsLeafAndNoOther) {
    for (std::uint64_t size = 1; size <= 13; ++size) {
        for (std::uint64_t index = 0; index < size; ++index) {
            const TlogProof proof = prove(index, size);
            for (std::uint64_t leaf = 0; leaf < 13; ++leaf) {
                ASSERT_EQ(check(proof, leaf),
                          leaf == index ? ProofCheck::valid : ProofCheck::not_included);
            }
        }
    }
}

TEST_F(TlogProofTest, GivesTheCheckpointThatItVerified) {
    const ProofVerdict verdict =
        verify_tlog_proof(sha256, format_tlog_proof(prove(5, 13)), leaf_of(5), key());
    EXPECT_EQ(verdict.check, ProofCheck::valid);
    EXPECT_EQ(verdict.index, 5u);
    EXPECT_EQ(verdict.checkpoint, (Checkpoint{kOrigin, 13, tree.root(13)}));
}

TEST_F(TlogProofTest, DamagedProofsAreRefused) {
    TlogProof proof = prove(5, 13);
    proof.index = 13;
    EXPECT_EQ(check(proof, 5), ProofCheck::not_included);
    proof = prove(5, 13);
    proof.hashes.pop_back();
    EXPECT_EQ(check(proof, 5), ProofCheck::not_included);
    proof = prove(5, 13);
    proof.hashes.push_back(proof.hashes[0]);
    EXPECT_EQ(check(proof, 5), ProofCheck::not_included);
    proof = prove(5, 13);
    proof.checkpoint = checkpoint(kOrigin, 12, kOrigin);
    EXPECT_EQ(check(proof, 5), ProofCheck::not_included);
}

TEST_F(TlogProofTest, EveryFlippedBitIsRefused) {
    const std::string good = format_tlog_proof(prove(5, 13));
    for (std::size_t bit = 0; bit < 8 * good.size(); ++bit) {
        std::string flipped = good;
        flipped[bit / 8] ^= static_cast<char>(1 << bit % 8);
        try {
            EXPECT_NE(verify_tlog_proof(sha256, flipped, leaf_of(5), key()).check,
                      ProofCheck::valid)
                << bit;
        } catch (const Malformed&) {
        }
    }
}

TEST_F(TlogProofTest, EveryPrefixIsRefused) {
    const std::string good = format_tlog_proof(prove(5, 13));
    for (std::size_t n = 0; n < good.size(); ++n) {
        EXPECT_THROW(verify_tlog_proof(sha256, good.substr(0, n), leaf_of(5), key()), Malformed)
            << n;
    }
}

TEST_F(TlogProofTest, NeedsTheKeyOfTheLog) {
    const std::string proof = format_tlog_proof(prove(5, 13));
    const auto with = [&](const VerifierKey& other) {
        return verify_tlog_proof(sha256, proof, leaf_of(5), other).check;
    };
    EXPECT_EQ(with(key(kOrigin, '2')), ProofCheck::unsigned_checkpoint);
    EXPECT_EQ(with(key("example.com/other")), ProofCheck::unsigned_checkpoint);
    VerifierKey witness = key();
    witness.type = SignatureType::cosignature;
    EXPECT_THROW(with(witness), std::invalid_argument);
}

TEST_F(TlogProofTest, ALogCannotStandForAnotherThatHasTheSameKey) {
    // Whoever signs for both logs signs a checkpoint of the one; its signature line is then
    // labelled with the other's name, which the signature does not cover.
    TlogProof proof = prove(5, 13);
    proof.checkpoint = checkpoint("example.com/other", 13, kOrigin);
    EXPECT_EQ(check(proof, 5), ProofCheck::wrong_origin);
}

TEST_F(TlogProofTest, FalseSignaturesAreToldFromMissingOnes) {
    TlogProof proof = prove(5, 13);
    Note note = parse_note(proof.checkpoint);
    note.signatures[0].signature[5] ^= 1;
    proof.checkpoint = format_note(note);
    const ProofVerdict verdict =
        verify_tlog_proof(sha256, format_tlog_proof(proof), leaf_of(5), key());
    EXPECT_EQ(verdict.check, ProofCheck::invalid_signature);
    EXPECT_EQ(verdict.checkpoint, Checkpoint{});
    EXPECT_STREQ(message(verdict.check), "The signature of the checkpoint is not valid.");
}

TEST_F(TlogProofTest, SaysWhatIsWrong) {
    const std::string head = "c2sp.org/tlog-proof@v1\n";
    const std::string hash = to_base64(Digest{}) + "\n";
    const std::string ends = "the proof ends before its checkpoint";
    const std::string index = "the proof has no line with the index of the entry";
    const std::string extra = "the extra data in the proof is not in base64";
    EXPECT_EQ(complaint(head + "index 0\n\nc"), "none");
    EXPECT_EQ(complaint(""), ends);
    EXPECT_EQ(complaint("c2sp.org/tlog-proof@v2\nindex 0\n\nc"),
              "the proof does not begin with the line c2sp.org/tlog-proof@v1");
    EXPECT_EQ(complaint(head), ends);
    EXPECT_EQ(complaint(head + "index 0\n"), ends);
    EXPECT_EQ(complaint(head + "index 0\n\n"), ends);
    EXPECT_EQ(complaint(head + "index 0\n" + hash), ends);
    for (const char* line : {"", "index", "index ", "index -1", "index 01", "index  1", "Index 1",
                             "index 1 ", "index 9223372036854775807", "index 1\r"}) {
        EXPECT_EQ(complaint(head + line + "\n\nc"), index) << line;
    }
    EXPECT_EQ(complaint(head + "extra AA==\nextra AA==\nindex 0\n\nc"), index);
    for (const char* line : {"extra ", "extra A", "extra AB==", "extra AA== "}) {
        EXPECT_EQ(complaint(head + line + "\nindex 0\n\nc"), extra) << line;
    }
    EXPECT_EQ(complaint(head + "index 0\nAAAA\n\nc"),
              "a hash in the proof is not 32 bytes in base64");
    std::string hashes;
    for (int i = 0; i < 63; ++i) {
        hashes += hash;
    }
    EXPECT_EQ(complaint(head + "index 0\n" + hashes + "\nc"), "none");
    EXPECT_EQ(complaint(head + "index 0\n" + hashes + hash + "\nc"),
              "the proof has more than 63 hashes");
    EXPECT_THROW(format_tlog_proof({}), std::invalid_argument);
}

TEST_F(TlogProofTest, AgreesWithOurPublishedVectors) {
    for (const auto& vector : test::read_vectors("tlog_proofs.jsonl")) {
        const VerifierKey log = parse_verifier_key(sha256, vector["key"].get<std::string>());
        const auto leaf = vector["leaf"].get<std::string>();
        const auto proof = vector["proof"].get<std::string>();
        EXPECT_EQ(verify_tlog_proof(sha256, proof, leaf, log).check, ProofCheck::valid);
        EXPECT_EQ(verify_tlog_proof(sha256, proof, leaf + "\n", log).check,
                  ProofCheck::not_included);
        const NoteCheck cosigned =
            verify_note(sha256, parse_note(parse_tlog_proof(proof).checkpoint),
                        parse_verifier_key(sha256, vector["witness"].get<std::string>()));
        EXPECT_EQ(cosigned.result, SignatureCheck::valid);
        EXPECT_EQ(cosigned.time, vector["time"].get<std::uint64_t>());
    }
}

}  // namespace
}  // namespace auditchain
