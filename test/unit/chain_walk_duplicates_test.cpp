// Several rows at one position: one holds it, the others are duplicates.
#include "chain_walk.h"

#include <gtest/gtest.h>

#include <string>
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

constexpr const char* kForged = "{\"id\":\"forged\"}";

TEST(ChainWalkDuplicates, DuplicatesInAnyOrder) {
    for (const bool copy_first : {false, true}) {
        for (const std::size_t i : {0, 2, 4}) {
            const Chain intact = make_chain(5);
            const auto with_copy = [&](auto edit) {
                Chain chain = intact;
                Row copy = intact[i];
                edit(copy);
                chain.insert(copy_first ? chain.begin() : chain.end(), copy);
                return report(chain);
            };
            const Report one{"entry_duplicated@" + std::to_string(i + 1)};
            EXPECT_EQ(with_copy([](Row&) {}), one);
            EXPECT_EQ(with_copy([](Row& row) { row.payload = kForged; }), one);
            EXPECT_EQ(with_copy([](Row& row) { row.checksum.bytes[0] ^= 1; }), one);
            EXPECT_EQ(with_copy([](Row& row) { row.previous.bytes[0] ^= 1; }), one);
            EXPECT_EQ(with_copy([](Row& row) { row.key_matches = false; }), one);
            EXPECT_EQ(with_copy([](Row& row) {
                          row.payload = kForged;
                          rehash(row);
                      }),
                      one);
            EXPECT_EQ(with_copy([](Row& row) {
                          row.previous.bytes[0] ^= 1;
                          rehash(row);
                      }),
                      one);
        }
    }
}

TEST(ChainWalkDuplicates, TheFineRowRepresentsItsPosition) {
    Chain chain = make_chain(2);
    Row edited = chain[1];
    edited.payload = kForged;
    chain = {edited, chain[0], edited, chain[1], edited};
    const auto findings = test::walk({chain});
    EXPECT_EQ(test::describe(findings),
              (Report{"entry_duplicated@2", "entry_duplicated@2", "entry_duplicated@2"}));
    for (const Finding& finding : findings) {
        EXPECT_FALSE(finding.content_intact) << "row " << finding.row;
    }
}

TEST(ChainWalkDuplicates, OfTwoFineRowsTheFirstRepresents) {
    Chain chain = make_chain(3);
    chain.push_back(chain[1]);
    const auto findings = test::walk({chain});
    ASSERT_EQ(findings.size(), 1u);
    EXPECT_EQ(findings[0].row, 2u);
}

TEST(ChainWalkDuplicates, WithoutAFineRowTheFirstRepresents) {
    Chain chain = make_chain(3);
    chain[1].payload = kForged;
    chain.push_back(chain[1]);
    EXPECT_EQ(report(chain), (Report{"entry_duplicated@2", "content_modified@2"}));
}

TEST(ChainWalkDuplicates, WhichRowHoldsAPositionIsNoMatterOfOrder) {
    Chain chain = make_chain(4);
    Row edited = chain[2];
    edited.payload = kForged;
    Row foreign = make_chain(1, "foreign")[0];
    foreign.position = 3;
    Row foreign_key = chain[2];
    foreign_key.key_matches = false;
    const auto expect = [&](const Row& holder, const Row& other, const std::string& kind) {
        for (const auto& [first, second] : {std::pair{holder, other}, {other, holder}}) {
            chain[2] = first;
            Chain both = chain;
            both.push_back(second);
            EXPECT_EQ(report(both), (Report{"entry_duplicated@3", kind + "@3"}));
        }
    };
    expect(edited, foreign_key, "content_modified");
    expect(edited, foreign, "content_modified");
    expect(foreign_key, foreign, "key_mismatch");
}

TEST(ChainWalkDuplicates, AnyOfTheRowsAtAPositionMayBeNamed) {
    for (const std::size_t named : {0, 1, 2, 3}) {
        Chain rows = make_chain(2);
        for (int fork = 0; fork < 3; ++fork) {
            Row row = rows[1];
            row.payload = "{\"fork\":" + std::to_string(fork) + "}";
            rehash(row);
            rows.push_back(row);
        }
        const Digest previous = rows[1 + named].checksum;
        Row next{3, previous, {}, "{}"};
        rehash(next);
        rows.push_back(next);
        EXPECT_EQ(report(rows),
                  (Report{"entry_duplicated@2", "entry_duplicated@2", "entry_duplicated@2"}));
    }
}

TEST(ChainWalkDuplicates, AnyNumber) {
    Chain chain = make_chain(3);
    for (int fork = 0; fork < 100; ++fork) {
        Row row = chain[1];
        row.payload = "{\"fork\":" + std::to_string(fork) + "}";
        chain.push_back(row);
    }
    EXPECT_EQ(report(chain), Report(100, "entry_duplicated@2"));
}

}  // namespace
}  // namespace auditchain
