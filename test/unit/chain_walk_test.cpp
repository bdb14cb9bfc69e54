// One cause, one violation: every way to tamper with one entry, as verification reports it.
#include "chain_walk.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>
#include <type_traits>
#include <utility>

#include "chain_fixture.h"

namespace auditchain {
namespace {

using test::Chain;
using test::make_chain;
using test::rehash;
using test::report;
using test::Report;
using test::Row;

static_assert(std::is_trivially_destructible_v<ChainWalk>);
static_assert(std::is_trivially_copyable_v<Finding>);

constexpr const char* kForged = "{\"id\":\"forged\"}";

TEST(ViolationName, IsThatOfSql) {
    EXPECT_STREQ(name(Violation::content_modified), "content_modified");
    EXPECT_STREQ(name(Violation::link_broken), "link_broken");
    EXPECT_STREQ(name(Violation::entry_missing), "entry_missing");
    EXPECT_STREQ(name(Violation::entry_duplicated), "entry_duplicated");
    EXPECT_STREQ(name(Violation::head_missing), "head_missing");
    EXPECT_STREQ(name(Violation::tail_missing), "tail_missing");
    EXPECT_STREQ(name(Violation::checkpoint_mismatch), "checkpoint_mismatch");
    EXPECT_STREQ(name(Violation::receipt_invalid), "receipt_invalid");
    EXPECT_STREQ(name(Violation::key_mismatch), "key_mismatch");
    EXPECT_STREQ(name(Violation::incarnation_changed), "incarnation_changed");
    EXPECT_STREQ(name(Violation::guard_disabled), "guard_disabled");
    EXPECT_STREQ(name(Violation::archive_mismatch), "archive_mismatch");
}

TEST(ChainWalk, IntactChainsHaveNoFindings) {
    EXPECT_EQ(report(Chain{}), Report{});
    EXPECT_EQ(report(make_chain(1)), Report{});
    EXPECT_EQ(report({make_chain(5, "a"), Chain{}, make_chain(3, "b")}), Report{});
}

TEST(ChainWalk, FindingsSayWhichRow) {
    Chain chain = make_chain(3);
    chain[1].payload = kForged;
    const auto findings = test::walk({chain});
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_TRUE(findings[0].has_row);
    EXPECT_EQ(findings[0].row, 1u);
    EXPECT_FALSE(findings[0].content_intact);
    EXPECT_EQ(findings[0].own, chain[1].checksum);
    EXPECT_EQ(findings[0].expected, chain[0].checksum);
}

TEST(ChainWalk, GapsHaveNoRow) {
    Chain chain = make_chain(4);
    chain.erase(chain.begin() + 1);
    const auto findings = test::walk({chain});
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_FALSE(findings[0].has_row);
    EXPECT_EQ(findings[0].own, chain[1].checksum);
    EXPECT_EQ(findings[0].expected, chain[1].previous);
}

TEST(ChainWalk, EditedEntries) {
    for (const std::size_t i : {0, 2, 4}) {
        const std::string at = "@" + std::to_string(i + 1);
        Chain chain = make_chain(5);
        chain[i].payload = kForged;
        EXPECT_EQ(report(chain), Report{"content_modified" + at});

        chain = make_chain(5);
        chain[i].checksum.bytes[7] ^= 1;
        EXPECT_EQ(report(chain), Report{"content_modified" + at});

        chain = make_chain(5);
        chain[i].previous.bytes[7] ^= 1;
        EXPECT_EQ(report(chain), Report{"link_broken" + at});

        chain = make_chain(5);
        chain[i].payload = kForged;
        chain[i].previous.bytes[7] ^= 1;
        EXPECT_EQ(report(chain), Report{"content_modified" + at});

        chain = make_chain(5);
        chain[i].payload = kForged;
        chain[i].checksum.bytes[7] ^= 1;
        EXPECT_EQ(report(chain), Report{"content_modified" + at})
            << "its follower has lost the link";

        chain = make_chain(5);
        chain[i].previous.bytes[7] ^= 1;
        rehash(chain[i]);
        EXPECT_EQ(report(chain)[0], "link_broken" + at);
    }
}

TEST(ChainWalk, EditedAndRehashedEntryBreaksTheNextLink) {
    Chain chain = make_chain(5);
    chain[1].payload = kForged;
    rehash(chain[1]);
    EXPECT_EQ(report(chain), Report{"link_broken@3"});
}

TEST(ChainWalk, EditedKeyColumnIsAnEdit) {
    Chain chain = make_chain(3);
    chain[1].payload = kForged;
    chain[1].key_matches = false;
    EXPECT_EQ(report(chain), Report{"content_modified@2"});
}

TEST(ChainWalk, RewrittenTailIsConsistent) {
    Chain chain = make_chain(4);
    chain[2].payload = kForged;
    rehash(chain[2]);
    chain[3].previous = chain[2].checksum;
    rehash(chain[3]);
    EXPECT_EQ(report(chain), Report{}) << "only a checkpoint or receipt can tell";
}

TEST(ChainWalk, DeletedEntries) {
    const auto without = [](std::size_t first, std::size_t last) {
        Chain chain = make_chain(6);
        chain.erase(chain.begin() + first - 1, chain.begin() + last);
        return chain;
    };
    EXPECT_EQ(report(without(1, 1)), Report{"head_missing@1"});
    EXPECT_EQ(report(without(1, 5)), Report{"head_missing@1-5"});
    EXPECT_EQ(report(without(3, 3)), Report{"entry_missing@3"});
    EXPECT_EQ(report(without(2, 5)), Report{"entry_missing@2-5"});
    EXPECT_EQ(report(without(6, 6)), Report{}) << "only a checkpoint can tell";

    Chain chain = without(2, 2);
    chain.erase(chain.begin() + 2);
    EXPECT_EQ(report(chain), (Report{"entry_missing@2", "entry_missing@4"}));
}

TEST(ChainWalk, DeletedEntryWithTheGapClosed) {
    for (const std::size_t i : {0, 2}) {
        Chain chain = make_chain(5);
        chain.erase(chain.begin() + i);
        for (std::size_t k = i; k < chain.size(); ++k) {
            --chain[k].position;
        }
        EXPECT_EQ(report(chain), Report{"link_broken@" + std::to_string(i + 1)});
    }
}

TEST(ChainWalk, ContentIsCheckedBehindAGap) {
    Chain chain = make_chain(5);
    chain[2].payload = kForged;
    chain.erase(chain.begin() + 1);
    EXPECT_EQ(report(chain), (Report{"entry_missing@2", "content_modified@3"}));
}

TEST(ChainWalk, PositionsMayReachTheirLimit) {
    constexpr auto kNewest = std::numeric_limits<std::int64_t>::max();
    Chain chain = make_chain(3);
    chain[2].position = kNewest;
    chain.push_back(chain[2]);
    EXPECT_EQ(test::describe(test::walk({chain})),
              (Report{"entry_duplicated@" + std::to_string(kNewest),
                      "entry_missing@3-" + std::to_string(kNewest - 1)}));
}

TEST(ChainWalk, ForgedEntryInsertedWithRenumbering) {
    for (const bool linked : {false, true}) {
        Chain chain = make_chain(5);
        Row forged{3, linked ? chain[1].checksum : Digest{}, {}, kForged};
        rehash(forged);
        for (std::size_t i = 2; i < chain.size(); ++i) {
            ++chain[i].position;
        }
        chain.push_back(forged);
        EXPECT_EQ(report(chain), Report{linked ? "link_broken@4" : "link_broken@3"});
    }
}

TEST(ChainWalk, ForgedBlockInsertedWithRenumbering) {
    Chain chain = make_chain(5);
    Chain block = make_chain(3, "forged");
    for (std::size_t i = 0; i < block.size(); ++i) {
        block[i].position = static_cast<std::int64_t>(3 + i);
    }
    for (std::size_t i = 2; i < chain.size(); ++i) {
        chain[i].position += 3;
    }
    chain.insert(chain.end(), block.begin(), block.end());
    EXPECT_EQ(report(chain), Report{"link_broken@3"});
}

/// Append an intact entry that names some entry, or none, as its predecessor.
void append_fork(Chain& chain, const Digest& previous) {
    const std::int64_t position = chain.back().position + 1;
    chain.push_back({position, previous, {}, "{\"fork\":" + std::to_string(position) + "}"});
    rehash(chain.back());
}

TEST(ChainWalk, ABreakExplainsOneForkOnly) {
    Chain chain = make_chain(3);
    append_fork(chain, Digest{});
    append_fork(chain, chain[2].checksum);  // goes on from 3, where the foreign entry left off
    append_fork(chain, chain[2].checksum);  // and so does this
    EXPECT_EQ(report(chain), (Report{"link_broken@4", "link_broken@6"}));
}

TEST(ChainWalk, ABreakIsGoneBackToOnceOnly) {
    Chain chain = make_chain(3);
    append_fork(chain, Digest{});
    append_fork(chain, chain[2].checksum);
    append_fork(chain, chain[3].checksum);  // goes on from the foreign entry
    append_fork(chain, chain[3].checksum);  // and so does this
    EXPECT_EQ(test::describe(test::walk({chain})), (Report{"link_broken@4", "link_broken@7"}));
}

TEST(ChainWalk, AGapEndsWhatABreakExplains) {
    Chain chain = make_chain(3);
    append_fork(chain, Digest{});
    append_fork(chain, chain.back().checksum);
    append_fork(chain, chain.back().checksum);
    append_fork(chain, chain[2].checksum);
    chain.erase(chain.begin() + 4);
    EXPECT_EQ(report(chain), (Report{"link_broken@4", "entry_missing@5", "link_broken@7"}));
}

TEST(ChainWalk, AnotherChainEndsWhatABreakExplains) {
    Chain broken = make_chain(3, "a");
    append_fork(broken, make_chain(1, "lost")[0].checksum);
    Chain other = make_chain(1, "b");
    other[0].previous = broken[2].checksum;
    rehash(other[0]);
    EXPECT_EQ(report({broken, other}), (Report{"link_broken@4", "link_broken@1"}));
}

TEST(ChainWalk, AnEditedPreviousChecksumExcusesNoFollower) {
    Chain chain = make_chain(4);
    chain[1].previous.bytes[0] ^= 1;
    Chain forked = chain;
    forked[2].previous = entry_checksum(test::hasher(), chain[1].previous, chain[1].payload);
    rehash(forked[2]);
    forked.pop_back();
    EXPECT_EQ(report(forked), (Report{"link_broken@2", "link_broken@3"}));

    append_fork(chain, chain[0].checksum);
    EXPECT_EQ(report(chain), (Report{"link_broken@2", "link_broken@5"}));
}

TEST(ChainWalk, ForgedEntriesThatNameEachOtherAreTwo) {
    Chain chain = make_chain(8);
    Row first{3, Digest{}, {}, kForged};
    rehash(first);
    Row second{7, first.checksum, {}, "{\"id\":\"forged too\"}"};
    rehash(second);
    for (Row& row : chain) {
        row.position += (row.position > 2) + (row.position > 5);
    }
    chain.insert(chain.end(), {first, second});
    EXPECT_EQ(report(chain), (Report{"link_broken@3", "link_broken@8"}));
}

TEST(ChainWalk, PositionsBelowOneAreNotPartOfTheWalk) {
    Chain chain = make_chain(3);
    Row row = chain[1];
    row.position = 0;
    chain.push_back(row);
    row.position = std::numeric_limits<std::int64_t>::min();
    row.payload = kForged;
    row.key_matches = false;
    chain.push_back(row);
    EXPECT_EQ(report(chain), (Report{"link_broken@" + std::to_string(row.position),  //
                                     "link_broken@0"}));
}

TEST(ChainWalk, EntriesOfAnotherKey) {
    for (const std::size_t first : {0, 1, 3}) {
        for (const std::size_t last : {first, first + 1, std::size_t{4}}) {
            Chain chain = make_chain(6);
            for (std::size_t i = first; i <= last; ++i) {
                chain[i].key_matches = false;
            }
            EXPECT_EQ(report(chain), Report{"key_mismatch@" + std::to_string(first + 1)});
            if (first + 1 < last) {
                chain[first + 1].payload = kForged;
                EXPECT_EQ(report(chain), (Report{"key_mismatch@" + std::to_string(first + 1),
                                                 "content_modified@" + std::to_string(first + 2)}));
            }
        }
    }
}

TEST(ChainWalk, EntriesOfAnotherKeyThatDoNotFollowEachOther) {
    Chain chain = make_chain(6);
    chain[1].key_matches = chain[3].key_matches = false;
    EXPECT_EQ(report(chain), (Report{"key_mismatch@2", "key_mismatch@4"}));
}

TEST(ChainWalk, AnEntryOfAnotherKeyPutInIsOne) {
    Chain chain = make_chain(5);
    Row forged{3, chain[1].checksum, {}, kForged, false};
    rehash(forged);
    for (std::size_t i = 2; i < chain.size(); ++i) {
        ++chain[i].position;
    }
    chain.push_back(forged);
    EXPECT_EQ(report(chain), Report{"key_mismatch@3"});
}

}  // namespace
}  // namespace auditchain
