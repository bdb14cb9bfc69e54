// Entries that were moved: found once, where they are, and not where they are missed.
#include "chain_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>
#include <utility>

#include "chain_fixture.h"

namespace auditchain {
namespace {

using test::Chain;
using test::make_chain;
using test::report;
using test::Report;
using test::Row;

/// Return a chain of eight with the positions of two entries swapped.
Chain swapped(std::size_t a, std::size_t b) {
    Chain chain = make_chain(8);
    std::swap(chain[a - 1].position, chain[b - 1].position);
    return chain;
}

/// Return a chain of eight with one entry put elsewhere.
Chain moved(std::int64_t from, std::int64_t to, bool stored_first = false) {
    Chain chain = make_chain(8);
    Row row = chain[from - 1];
    chain.erase(chain.begin() + from - 1);
    row.position = to;
    chain.insert(stored_first ? chain.begin() : chain.end(), row);
    return chain;
}

TEST(Explain, NothingHasNoExplanation) {
    EXPECT_EQ(explain({}), 0u);
}

TEST(Explain, NeighboursSwappedAreOneViolation) {
    for (std::size_t first = 1; first < 8; ++first) {
        EXPECT_EQ(report(swapped(first, first + 1)), Report{"link_broken@" + std::to_string(first)})
            << first;
    }
}

TEST(Explain, DistantEntriesSwappedAreOne) {
    for (const auto& [a, b] : {std::pair{2, 6}, {1, 5}, {3, 8}, {2, 4}, {1, 8}}) {
        EXPECT_EQ(report(swapped(a, b)), Report{"link_broken@" + std::to_string(a)})
            << a << ' ' << b;
    }
}

TEST(Explain, TwoSwapsAreTwo) {
    Chain chain = make_chain(12);
    std::swap(chain[1].position, chain[4].position);
    std::swap(chain[7].position, chain[10].position);
    EXPECT_EQ(report(chain), (Report{"link_broken@2", "link_broken@8"}));
}

TEST(Explain, ASwapBehindAnEditedChecksumIsOne) {
    Chain chain = swapped(3, 6);
    chain[1].checksum.bytes[0] ^= 1;
    EXPECT_EQ(report(chain), (Report{"content_modified@2", "link_broken@3"}));
}

TEST(Explain, EntriesOfTwoChainsSwappedAreOne) {
    Chain a = make_chain(5, "a");
    Chain b = make_chain(5, "b");
    std::swap(a[2], b[3]);
    std::swap(a[2].position, b[3].position);
    EXPECT_EQ(report({a, b}), Report{"link_broken@3"});
}

TEST(Explain, EntryMovedToTheEnd) {
    for (std::int64_t from = 1; from < 8; ++from) {
        EXPECT_EQ(report(moved(from, 9)), Report{"link_broken@9"}) << from;
    }
}

TEST(Explain, EntryMovedBeforeTheStart) {
    for (std::int64_t from = 1; from < 8; ++from) {
        EXPECT_EQ(report(moved(from, 0)), Report{"link_broken@0"}) << from;
    }
}

TEST(Explain, NeighboursMovedBeforeTheStartAreTwo) {
    Chain chain = make_chain(8);
    chain[3].position = 0;
    chain[4].position = -1;
    EXPECT_EQ(report(chain), (Report{"link_broken@-1", "link_broken@0"}));
}

TEST(Explain, EntryMovedFarBeyondTheEnd) {
    EXPECT_EQ(report(moved(3, 100)), Report{"entry_missing@9-99"});
}

TEST(Explain, EntryMovedOntoAnother) {
    for (const bool stored_first : {false, true}) {
        for (std::int64_t from = 1; from < 8; ++from) {
            for (std::int64_t to = 1; to <= 8; ++to) {
                if (from != to) {
                    EXPECT_EQ(report(moved(from, to, stored_first)),
                              Report{"entry_duplicated@" + std::to_string(to)})
                        << from << " to " << to;
                }
            }
        }
    }
}

TEST(Explain, RunsMovedWithRenumbering) {
    for (std::size_t first = 0; first < 8; ++first) {
        for (std::size_t middle = first + 1; middle < 8; ++middle) {
            for (std::size_t last = middle + 1; last <= 8; ++last) {
                Chain chain = make_chain(8);
                std::rotate(chain.begin() + first, chain.begin() + middle, chain.begin() + last);
                for (std::size_t i = 0; i < chain.size(); ++i) {
                    chain[i].position = static_cast<std::int64_t>(i + 1);
                }
                EXPECT_EQ(report(chain), Report{"link_broken@" + std::to_string(first + 1)})
                    << first << ' ' << middle << ' ' << last;
            }
        }
    }
}

TEST(Explain, EntryMovedToAnotherKey) {
    Chain from = make_chain(5, "a");
    Chain to = make_chain(5, "b");
    Row row = from[2];
    from.erase(from.begin() + 2);
    row.key_matches = false;
    row.position = 6;
    to.push_back(row);
    EXPECT_EQ(report({from, to}), Report{"key_mismatch@6"});
    EXPECT_EQ(report({to, from}), Report{"key_mismatch@6"});

    to.back().position = 4;
    EXPECT_EQ(report({from, to}), Report{"entry_duplicated@4"});
}

TEST(Explain, EntryInsertedIntoAnotherKey) {
    Chain from = make_chain(5, "a");
    Chain to = make_chain(5, "b");
    Row row = from[2];
    from.erase(from.begin() + 2);
    row.key_matches = false;
    for (std::size_t i = 2; i < to.size(); ++i) {
        ++to[i].position;
    }
    to.push_back(row);  // at position 3
    EXPECT_EQ(report({from, to}), Report{"key_mismatch@3"});
}

TEST(Explain, AMovedEntryThatWasEditedIsMissingToo) {
    Chain chain = moved(3, 9);
    chain.back().payload = "{}";
    EXPECT_EQ(report(chain), (Report{"entry_missing@3", "content_modified@9"}));
}

TEST(Explain, ABlockMovedToTheEnd) {
    for (const std::int64_t first : {1, 3, 6}) {
        Chain chain = make_chain(8);
        for (std::int64_t i = first; i < first + 2; ++i) {
            chain[i - 1].position = i + 9 - first;
        }
        EXPECT_EQ(report(chain), Report{"link_broken@9"}) << first;

        Chain edited = chain;
        edited[first].payload = "{}";
        EXPECT_EQ(report(edited), (Report{"link_broken@9", "content_modified@10"})) << first;
    }
}

TEST(Explain, ABlockMovedInPieces) {
    Chain chain = make_chain(8);
    chain[2].position = 12;
    chain[3].position = 9;
    chain[4].position = 10;
    chain[5].position = 11;
    EXPECT_EQ(report(chain), (Report{"link_broken@9", "link_broken@12"}));
    chain[2].position = 0;
    EXPECT_EQ(report(chain), (Report{"link_broken@0", "link_broken@9"}));
}

TEST(Explain, ABlockOfWhichOneIsGone) {
    Chain chain = moved(3, 9);
    chain.erase(chain.begin() + 2);  // 4
    EXPECT_EQ(report(chain), (Report{"entry_missing@3-4", "link_broken@9"}));

    chain = moved(4, 9);
    chain.erase(chain.begin() + 2);  // 3
    EXPECT_EQ(report(chain), (Report{"entry_missing@3-4", "link_broken@9"}));
}

TEST(Explain, SkippedPositionsAreNoPlaceThatWasLeft) {
    Chain chain = make_chain(4);
    for (Row& row : chain) {
        row.position *= 2;
    }
    EXPECT_EQ(report(chain),
              (Report{"head_missing@1", "entry_missing@3", "entry_missing@5", "entry_missing@7"}));
}

TEST(Explain, ABlockMovedToAnotherKeyAndTheGapClosed) {
    for (const bool inserted : {false, true}) {
        Chain from = make_chain(6, "a");
        Chain to = make_chain(3, "b");
        Chain block(from.begin() + 1, from.begin() + 4);
        from.erase(from.begin() + 1, from.begin() + 4);
        from[1].position = 2;
        from[2].position = 3;
        if (inserted) {
            to[2].position = 6;
        }
        for (std::size_t i = 0; i < block.size(); ++i) {
            block[i].position = static_cast<std::int64_t>(i + (inserted ? 3 : 4));
            block[i].key_matches = false;
        }
        to.insert(to.end(), block.begin(), block.end());
        EXPECT_EQ(report({from, to}), Report{inserted ? "key_mismatch@3" : "key_mismatch@4"});
        EXPECT_EQ(report({to, from}), Report{inserted ? "key_mismatch@3" : "key_mismatch@4"});
    }
}

TEST(Explain, TwoKeysMerged) {
    Chain from = make_chain(4, "a");
    Chain to = make_chain(4, "b");
    for (Row& row : from) {
        row.key_matches = false;
    }
    for (Row& row : to) {
        row.position += 4;
    }
    from.insert(from.end(), to.begin(), to.end());
    EXPECT_EQ(report(from), Report{"key_mismatch@1"});
}

/// Lose both the payload and the checksum of an entry.
void wreck(Row& row) {
    row.payload = "{}";
    row.checksum.bytes[0] ^= 1;
}

TEST(Explain, TheFollowerOfAWreckedEntryIsNoCause) {
    for (std::size_t i = 0; i < 8; ++i) {
        Chain chain = make_chain(8);
        wreck(chain[i]);
        EXPECT_EQ(report(chain), Report{"content_modified@" + std::to_string(i + 1)});
    }
}

TEST(Explain, WhatStandsBehindAWreckedEntryMayBeACause) {
    Chain chain = moved(3, 9);  // the gap says that it was moved
    wreck(chain[6]);
    EXPECT_EQ(report(chain), (Report{"content_modified@8", "link_broken@9"}));

    chain = swapped(4, 7);
    wreck(chain[2]);  // with it is lost what 4 followed
    EXPECT_EQ(report(chain), (Report{"content_modified@3", "link_broken@4", "link_broken@7"}));

    chain = make_chain(4);  // the chain goes on behind it
    chain[1].payload = "{}";
    Row forged{3, Digest{}, {}, "{\"forged\":1}"};
    test::rehash(forged);
    chain[2].position = 4;
    chain[3].position = 5;
    chain.push_back(forged);
    EXPECT_EQ(report(chain), (Report{"content_modified@2", "link_broken@3"}));
}

TEST(Explain, FindingsComeInTheOrderOfPositions) {
    Chain chain = make_chain(9);
    std::swap(chain[1].position, chain[5].position);
    chain[3].payload = chain[8].payload = "{}";
    chain.push_back(chain[7]);
    EXPECT_EQ(report(chain), (Report{"link_broken@2", "content_modified@4", "entry_duplicated@8",
                                     "content_modified@9"}));
}

TEST(Explain, ManyFindingsTakeNoLongTime) {
    // Reversed, so that each explains the next; and a gap before each.
    constexpr std::int64_t kSize = 50000;
    Chain chain = make_chain(kSize);
    for (Row& row : chain) {
        row.position = 2 * (kSize - row.position + 1);
    }
    EXPECT_GE(report(chain).size(), 1u);
    for (Row& row : chain) {
        row.position /= 2;
    }
    EXPECT_GE(report(chain).size(), 1u);
}

TEST(Explain, ACopyElsewhereDoesNotHideAMove) {
    Chain chain = moved(3, 9);
    chain.push_back(chain[1]);  // 2 again
    EXPECT_EQ(report(chain), (Report{"entry_duplicated@2", "link_broken@9"}));
}

TEST(Explain, AnEntryThatLeftAGapIsNoConsequence) {
    // 2 was edited and rehashed, so 3 is found broken; 4, which follows 3, was moved to the end.
    Chain chain = moved(4, 9);
    chain[1].payload = "{}";
    test::rehash(chain[1]);
    EXPECT_EQ(report(chain), (Report{"link_broken@3", "link_broken@9"}));
}

TEST(Explain, AnEditedPreviousChecksumIsNoConsequence) {
    Chain chain = moved(3, 9);
    chain[5].previous = chain.back().checksum;
    EXPECT_EQ(report(chain), (Report{"link_broken@7", "link_broken@9"}));
}

}  // namespace
}  // namespace auditchain
