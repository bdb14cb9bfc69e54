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

TEST(Explain, DistantEntriesSwappedAreTwo) {
    EXPECT_EQ(report(swapped(2, 6)), (Report{"link_broken@2", "link_broken@6"}));
    EXPECT_EQ(report(swapped(1, 5)), (Report{"link_broken@1", "link_broken@5"}));
    EXPECT_EQ(report(swapped(3, 8)), (Report{"link_broken@3", "link_broken@8"}));
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
    EXPECT_EQ(report(chain), (Report{"link_broken@-1", "link_broken@0", "entry_missing@4-5"}));
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

TEST(Explain, LargerGapsStay) {
    Chain chain = moved(3, 9);
    chain.erase(chain.begin() + 2);  // 4
    EXPECT_EQ(report(chain), (Report{"entry_missing@3-4", "link_broken@9"}));
}

TEST(Explain, ACopyElsewhereDoesNotHideAMove) {
    Chain chain = moved(3, 9);
    chain.push_back(chain[1]);  // 2 again
    EXPECT_EQ(report(chain), (Report{"entry_duplicated@2", "link_broken@9"}));
}

TEST(Explain, AnEntryDroppedAsAFollowerExplainsNoGap) {
    // 2 was edited and rehashed, so 3 is found broken; 4, which follows 3, was moved to the end.
    Chain chain = moved(4, 9);
    chain[1].payload = "{}";
    test::rehash(chain[1]);
    EXPECT_EQ(report(chain), (Report{"link_broken@3", "entry_missing@4"}));
}

TEST(Explain, AnEditedPreviousChecksumIsNoConsequence) {
    Chain chain = moved(3, 9);
    chain[5].previous = chain.back().checksum;
    EXPECT_EQ(report(chain), (Report{"link_broken@7", "link_broken@9"}));
}

}  // namespace
}  // namespace auditchain
