// Receipts along a chain: what becomes of entries whose receipts do not match.
#include <gtest/gtest.h>

#include "chain_fixture.h"

namespace auditchain::test {
namespace {

/// Return an intact chain of eight whose receipts are valid.
Chain receipted() {
    Chain chain = make_chain(8);
    for (Row& row : chain) {
        row.receipt = ReceiptState::valid;
    }
    return chain;
}

/// Edit the entry at a position as somebody without the key can: with a checksum that fits.
void forge(Chain& chain, std::size_t position) {
    Row& row = chain[position - 1];
    row.payload = "{\"forged\":" + std::to_string(position) + "}";
    row.receipt = ReceiptState::invalid;
    rehash(row);
}

/// Compute all checksums from a position on anew.
void recompute(Chain& chain, std::size_t position) {
    for (std::size_t i = position - 1; i < chain.size(); ++i) {
        chain[i].previous = i == 0 ? Digest{} : chain[i - 1].checksum;
        chain[i].receipt = ReceiptState::invalid;
        rehash(chain[i]);
    }
}

/// Return what verification reports, with runs as one.
Report joined(const Chain& chain) {
    std::vector<Finding> findings;
    for (const Finding& finding : explained(walk({chain}))) {
        if (findings.empty() || !extend_run(findings.back(), finding)) {
            findings.push_back(finding);
        }
    }
    return describe(findings);
}

TEST(ReceiptWalk, ValidAndUncheckedReceiptsAreFine) {
    EXPECT_EQ(joined(receipted()), Report{});
    EXPECT_EQ(joined(make_chain(8)), Report{});
}

TEST(ReceiptWalk, AnInvalidReceiptAloneIsOneViolation) {
    for (std::size_t position = 1; position <= 8; ++position) {
        Chain chain = receipted();
        chain[position - 1].receipt = ReceiptState::invalid;
        EXPECT_EQ(joined(chain), Report{"receipt_invalid@" + std::to_string(position)});
    }
}

TEST(ReceiptWalk, AnEditedEntryIsNotFoundTwice) {
    Chain chain = receipted();
    chain[3].payload = "{}";
    EXPECT_EQ(joined(chain), Report{"content_modified@4"}) << "its receipt is of the checksum";
    chain[3].receipt = ReceiptState::invalid;
    EXPECT_EQ(joined(chain), Report{"content_modified@4"});
    chain[3].key_matches = false;
    EXPECT_EQ(joined(chain), Report{"content_modified@4"});
}

TEST(ReceiptWalk, AnEntryWithAForgedChecksumIsToBlameAndNotItsFollower) {
    for (std::size_t position = 1; position <= 8; ++position) {
        Chain chain = receipted();
        forge(chain, position);
        EXPECT_EQ(joined(chain), Report{"receipt_invalid@" + std::to_string(position)});
    }
}

TEST(ReceiptWalk, WithoutReceiptsTheFollowerShowsIt) {
    Chain chain = make_chain(8);
    forge(chain, 4);
    chain[3].receipt = ReceiptState::unchecked;
    EXPECT_EQ(joined(chain), Report{"link_broken@5"});
}

TEST(ReceiptWalk, AChainComputedAnewIsOneViolation) {
    Chain whole = receipted();
    forge(whole, 1);
    recompute(whole, 1);
    EXPECT_EQ(joined(whole), Report{"receipt_invalid@1-8"});
    Chain rest = receipted();
    forge(rest, 5);
    recompute(rest, 5);
    EXPECT_EQ(joined(rest), Report{"receipt_invalid@5-8"});
}

TEST(ReceiptWalk, AnEntryRemovedAndTheRestComputedAnew) {
    Chain chain = receipted();
    chain.erase(chain.begin() + 3);
    for (std::size_t i = 3; i < chain.size(); ++i) {
        chain[i].position = static_cast<std::int64_t>(i) + 1;
    }
    recompute(chain, 4);
    EXPECT_EQ(joined(chain), Report{"receipt_invalid@4-7"});
}

TEST(ReceiptWalk, EntriesPutAtTheEnd) {
    Chain chain = receipted();
    for (std::int64_t position : {9, 10}) {
        chain.push_back({position, chain.back().checksum, {}, "{}", true, ReceiptState::invalid});
        rehash(chain.back());
    }
    EXPECT_EQ(joined(chain), Report{"receipt_invalid@9-10"});
}

TEST(ReceiptWalk, OfTwoEntriesAtAPositionTheOneWithAReceiptCounts) {
    for (const bool forged_first : {false, true}) {
        Chain chain = receipted();
        Row forged = chain[3];
        forged.payload = "{}";
        forged.receipt = ReceiptState::invalid;
        rehash(forged);
        chain.insert(chain.begin() + (forged_first ? 3 : 4), forged);
        const auto findings = walk({chain});
        ASSERT_EQ(describe(findings), Report{"entry_duplicated@4"});
        EXPECT_EQ(findings[0].row, forged_first ? 3u : 4u) << "the forged one is the duplicate";
    }
}

/// Give each row the receipt of the entry with its checksum, which is of that entry's place.
Chain with_receipts_of(const Chain& original, Chain chain) {
    for (Row& row : chain) {
        const bool in_place = std::any_of(original.begin(), original.end(), [&](const Row& entry) {
            return entry.position == row.position && entry.checksum == row.checksum;
        });
        row.receipt = in_place ? ReceiptState::valid : ReceiptState::invalid;
    }
    return chain;
}

TEST(ReceiptWalk, WhatWasMovedIsNotFoundAgainByItsReceipts) {
    const Chain original = make_chain(8);
    for (std::size_t first = 0; first < 8; ++first) {
        for (std::size_t second = first + 1; second < 8; ++second) {
            for (std::size_t end = second + 1; end <= 8; ++end) {
                Chain moved = original;  // the blocks before and behind `second` exchanged
                std::rotate(moved.begin() + first, moved.begin() + second, moved.begin() + end);
                for (std::size_t i = 0; i < moved.size(); ++i) {
                    moved[i].position = static_cast<std::int64_t>(i) + 1;
                }
                EXPECT_EQ(joined(with_receipts_of(original, moved)), joined(moved))
                    << first << ' ' << second << ' ' << end;
            }
        }
    }
}

TEST(ReceiptWalk, AnEntryRemovedAndTheRestRenumbered) {
    const Chain original = make_chain(8);
    for (std::size_t removed = 0; removed < 8; ++removed) {
        Chain chain = original;
        chain.erase(chain.begin() + static_cast<std::ptrdiff_t>(removed));
        for (std::size_t i = removed; i < chain.size(); ++i) {
            chain[i].position = static_cast<std::int64_t>(i) + 1;
        }
        EXPECT_EQ(joined(with_receipts_of(original, chain)), joined(chain)) << removed;
    }
}

TEST(ReceiptWalk, AForgeryBehindARemovedEntryIsFound) {
    Chain chain = receipted();
    forge(chain, 6);
    chain.erase(chain.begin() + 4);
    EXPECT_EQ(joined(chain), (Report{"entry_missing@5", "receipt_invalid@6"}));
}

TEST(ReceiptWalk, RunsAreOfOneChainAndWithoutGaps) {
    Finding run;
    run.kind = Violation::receipt_invalid;
    run.first = 3;
    run.last = 4;
    run.chain = 1;
    Finding next = run;
    next.first = next.last = 6;
    EXPECT_FALSE(extend_run(run, next));
    next.first = next.last = 5;
    next.chain = 2;
    EXPECT_FALSE(extend_run(run, next));
    next.chain = 1;
    next.kind = Violation::content_modified;
    EXPECT_FALSE(extend_run(run, next));
    next.kind = Violation::receipt_invalid;
    EXPECT_TRUE(extend_run(run, next));
    EXPECT_EQ(run.last, 5);
}

}  // namespace
}  // namespace auditchain::test
