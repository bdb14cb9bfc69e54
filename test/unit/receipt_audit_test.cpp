#include "receipt_audit.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "checksum.h"
#include "leaf.h"

namespace auditchain::test {
namespace {

constexpr const char* kLog = "6f1d3c7a-2b9e-4c55-9d0f-0a1b2c3d4e5f";
constexpr std::uint64_t kStart = 1000;
constexpr std::uint32_t kLength = 100;

/// An entry, and where the server has it.
struct Stored {
    std::string chain;
    std::int64_t position;
    Digest previous;
    Digest checksum;
    Receipt receipt;
    std::string payload;
};

/// A log and its seals, kept as the server keeps them, with all keys at hand.
class ReceiptAuditTest : public testing::Test {
  protected:
    Sha256 sha256;
    EvolvingKey seed{0, kStart, kLength, {1, 2, 3}};
    ReceiptSecrets plain;
    std::vector<Stored> entries;  // as the leaves are ordered
    std::vector<OfferedSeal> seals;
    std::vector<EpochRange> unsealed;
    std::size_t tree_size = SIZE_MAX;  // entries that are in the tree; SIZE_MAX: all
    std::uint64_t now = 0;
    std::uint64_t max_age = 30;

    EvolvingKey key_of(std::uint32_t epoch) {
        EvolvingKey key = seed;
        evolve(&key, epoch);
        return key;
    }

    void make_receipt(Stored& entry, std::uint32_t epoch) {
        ReceiptMaker make(key_of(epoch).secret, entry.chain.substr(0, entry.chain.rfind('/')));
        entry.receipt = {true, epoch,
                         make(entry_leaf(kLog, entry.chain, entry.position, entry.checksum))};
    }

    void insert(const std::string& chain, std::uint32_t epoch) {
        Stored entry{chain, 1, {}, {}, {}, "{\"n\":" + std::to_string(entries.size()) + "}"};
        for (const Stored& other : entries) {
            if (other.chain == chain) {
                entry.position = other.position + 1;
                entry.previous = other.checksum;
            }
        }
        entry.checksum = entry_checksum(sha256, entry.previous, entry.payload);
        make_receipt(entry, epoch);
        entries.push_back(entry);
    }

    Frontier tree_of(std::size_t size) {
        Frontier tree;
        for (std::size_t i = 0; i < size; ++i) {
            const Stored& entry = entries[i];
            tree.append(sha256, leaf_hash(sha256, entry_leaf(kLog, entry.chain, entry.position,
                                                             entry.checksum)));
        }
        return tree;
    }

    OfferedSeal make_seal(std::uint32_t epoch, std::size_t size, std::uint64_t before_end = 5) {
        const EpochSeal seal{epoch, 1, size, tree_of(size).root(sha256),
                             end_of_epoch(seed, epoch) - before_end};
        return {seal, epoch_seal_mac(key_of(epoch).secret, kLog, seal)};
    }

    /// Six epochs, 0 to 5, of four entries in two chains each; 5 is not over.
    void fill() {
        for (std::uint32_t epoch = 0; epoch < 6; ++epoch) {
            for (const char* chain : {"[\"a\"]/0", "[\"b\"]/0", "[\"a\"]/0", "[\"a\"]/0"}) {
                insert(chain, epoch);
            }
            seals.push_back(make_seal(epoch, entries.size()));
        }
        now = end_of_epoch(seed, 5) - 1;
    }

    /// Compute an entry and what follows in its chain anew, as who has the key of an epoch can.
    void rewrite(std::size_t index, std::uint32_t epoch) {
        const std::string chain = entries[index].chain;
        entries[index].payload = "{\"forged\":true}";
        Digest previous = entries[index].previous;
        for (std::size_t i = index; i < entries.size(); ++i) {
            if (entries[i].chain == chain) {
                entries[i].previous = previous;
                previous = entries[i].checksum =
                    entry_checksum(sha256, previous, entries[i].payload);
                make_receipt(entries[i], epoch);
            }
        }
    }

    /// What an audit finds: kind@position of each, "" where there is no position.
    std::vector<std::string> audit() {
        ReceiptAudit audit(sha256, {kLog, seed, &plain, unsealed, now, max_age}, seals);
        for (std::size_t i = 0; i < entries.size(); ++i) {
            const Stored& entry = entries[i];
            audit.next({entry.chain, entry.position, entry.previous, entry.checksum, entry.receipt,
                        entry.payload, i < tree_size});
        }
        audit.end();
        std::vector<std::string> found;
        details.clear();
        for (const AuditFinding& finding : audit.take_findings()) {
            found.push_back(finding.kind +
                            (finding.position > 0
                                 ? "@" + finding.chain + ":" + std::to_string(finding.position)
                                 : std::string()));
            details += finding.detail + "\n";
        }
        return found;
    }
    std::string details;

    using Findings = std::vector<std::string>;
};

TEST_F(ReceiptAuditTest, AnIntactLogHasNoFindings) {
    fill();
    EXPECT_EQ(audit(), Findings{});
    tree_size = 22;  // the two newest are not sealed, and so is what they would be in
    seals.back() = make_seal(5, 22);
    EXPECT_EQ(audit(), Findings{});
    seals.pop_back();
    EXPECT_EQ(audit(), Findings{}) << "the present epoch need not be sealed";
}

TEST_F(ReceiptAuditTest, AnEmptyLogIsSealedToo) {
    for (std::uint32_t epoch = 0; epoch < 3; ++epoch) {
        seals.push_back(make_seal(epoch, 0));
    }
    now = end_of_epoch(seed, 2);
    EXPECT_EQ(audit(), Findings{});
}

TEST_F(ReceiptAuditTest, WhoHasThePresentKeyCannotRewriteEarlierEpochs) {
    fill();
    rewrite(4, 5);
    seals[5] = make_seal(5, entries.size());
    EXPECT_EQ(audit(), (Findings{"epoch_mismatch@[\"a\"]/0:4", "checkpoint_mismatch"}));
    EXPECT_NE(details.find("seal of epoch 1, of 8 entries"), std::string::npos) << details;
    EXPECT_NE(details.find("3 behind it. The first 4 are"), std::string::npos) << details;
}

TEST_F(ReceiptAuditTest, NorClaimThatTheyWereNeverSealed) {
    fill();
    rewrite(4, 5);
    seals = {seals[0], make_seal(5, entries.size())};
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"});
    EXPECT_NE(details.find("epochs 1-4 are not sealed to their ends: 1970-01-01 00:18:20 UTC to "
                           "1970-01-01 00:25:00 UTC"),
              std::string::npos)
        << details;
    seals = {make_seal(5, entries.size())};
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"}) << "nor that the log is new";
}

TEST_F(ReceiptAuditTest, NorPutAnEarlierSealOfAnEpochInPlaceOfTheLast) {
    fill();
    seals[4] = make_seal(4, 17, 80);  // made with the key, early in its epoch
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"});
    EXPECT_NE(details.find("epoch 4 is not sealed to its end"), std::string::npos) << details;
    max_age = 80;
    EXPECT_EQ(audit(), Findings{}) << "unless it is said to be near enough";
}

TEST_F(ReceiptAuditTest, NorMakeASealOfAnEarlierEpoch) {
    fill();
    EpochSeal forged = make_seal(2, 10).seal;
    seals[2] = {forged, epoch_seal_mac(key_of(5).secret, kLog, forged)};
    EXPECT_EQ(audit(), (Findings{"seal_invalid", "epoch_unsealed"}));
}

TEST_F(ReceiptAuditTest, NorMoveASealToAnotherEpoch) {
    fill();
    seals[3].mac = seals[2].mac;
    seals[3].seal = seals[2].seal;
    seals[3].seal.epoch = 3;
    EXPECT_EQ(audit(), (Findings{"seal_invalid", "epoch_unsealed"}));
}

TEST_F(ReceiptAuditTest, NorClaimOldEntriesUnderThePresentKey) {
    fill();
    make_receipt(entries[6], 5);  // the entry itself is as it was
    EXPECT_EQ(audit(), Findings{"epoch_mismatch@[\"a\"]/0:5"});
    make_receipt(entries[6], 1);
    make_receipt(entries[7], 0);
    EXPECT_EQ(audit(), Findings{"epoch_mismatch@[\"a\"]/0:6"})
        << "or an earlier one, with the seed";
}

TEST_F(ReceiptAuditTest, NorCutTheLogOff) {
    fill();
    entries.resize(18);
    EXPECT_EQ(audit(), Findings{"tail_missing"});
    seals.resize(4);
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"}) << "with the seals";
    seals.push_back(make_seal(5, 18));
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"}) << "and a new one";
    entries.resize(17);
    insert("[\"b\"]/0", 5);
    seals[4] = make_seal(5, 18);
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"}) << "and other entries";
}

TEST_F(ReceiptAuditTest, WhatThePresentKeyCoversIsLost) {
    fill();
    rewrite(20, 5);
    seals[5] = make_seal(5, entries.size());
    EXPECT_EQ(audit(), Findings{}) << "nobody can tell: docs/threat-model.md says so";
}

TEST_F(ReceiptAuditTest, EpochsInWhichNobodyCouldSealAreSaidToTheAudit) {
    fill();
    seals.erase(seals.begin() + 2, seals.begin() + 4);
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"});
    unsealed = {{2, 3}};
    EXPECT_EQ(audit(), Findings{});
    unsealed = {{3, kMaxEpoch}};
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"}) << "not the second";
}

TEST_F(ReceiptAuditTest, TimeWithoutSealsIsFoundUpToNow) {
    fill();
    now = end_of_epoch(seed, 9);
    EXPECT_EQ(audit(), Findings{"epoch_unsealed"});
    EXPECT_NE(details.find("epochs 6-9"), std::string::npos) << details;
}

TEST_F(ReceiptAuditTest, EntriesAreWhatTheirReceiptsWereMadeFor) {
    fill();
    entries[2].payload = "{}";
    entries[5].receipt.mac.bytes[0] ^= 1;
    entries[22].receipt.epoch = 4;
    EXPECT_EQ(audit(), (Findings{"content_modified@[\"a\"]/0:2", "receipt_invalid@[\"b\"]/0:2",
                                 "receipt_invalid@[\"a\"]/0:17"}));
}

TEST_F(ReceiptAuditTest, ChainsHaveNoGapsDoublesOrBrokenLinks) {
    fill();
    tree_size = 0;
    seals.clear();
    unsealed = {{}};
    const Stored taken = entries[9];
    entries.erase(entries.begin() + 9);  // of "b"
    entries.insert(entries.begin() + 10, entries[8]);
    entries[20].previous.bytes[0] ^= 1;
    entries[20].checksum = entry_checksum(sha256, entries[20].previous, entries[20].payload);
    make_receipt(entries[20], 5);
    const Findings found = audit();
    EXPECT_EQ(found[0], "entry_duplicated@[\"a\"]/0:7");
    EXPECT_EQ(found[1], "entry_missing@[\"b\"]/0:3");
    EXPECT_EQ(found[2].substr(0, 11), "link_broken");
    EXPECT_GE(found.size(), 3u);
}

TEST_F(ReceiptAuditTest, PlainReceiptsNeedTheirSecrets) {
    plain.count = 2;
    plain.secrets[0].fill(7);
    plain.secrets[1].fill(8);
    fill();
    for (const std::size_t i : {0, 1, 2, 12}) {
        const Stored& entry = entries[i];
        ReceiptMaker make(plain.secrets[i % 2], entry.chain.substr(0, entry.chain.rfind('/')));
        entries[i].receipt = {false, 0,
                              make(entry_leaf(kLog, entry.chain, entry.position, entry.checksum))};
    }
    EXPECT_EQ(audit(), Findings{});
    plain.count = 1;
    EXPECT_EQ(audit(), Findings{"receipt_invalid@[\"b\"]/0:1"});
}

TEST_F(ReceiptAuditTest, NoKeysAreComputedForEpochsToCome) {
    fill();
    entries[23].receipt.epoch = kMaxEpoch;
    seals.push_back(seals.back());
    seals.back().seal.epoch = kMaxEpoch;
    EXPECT_EQ(audit(), (Findings{"seal_invalid", "epoch_mismatch@[\"a\"]/0:18"}));
}

TEST_F(ReceiptAuditTest, AnotherSeedFitsNothing) {
    fill();
    seed.secret[0] ^= 1;
    const Findings found = audit();
    EXPECT_EQ(found.size(), 6u + 1 + 2) << "each seal, all epochs, and each chain";
}

}  // namespace
}  // namespace auditchain::test
