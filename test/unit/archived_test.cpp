// Chains with entries that are in archives: what verification makes of the gaps, and beside them.
#include <gtest/gtest.h>

#include <algorithm>
#include <array>
#include <vector>

#include "chain_fixture.h"
#include "link_balance.h"
#include "random.h"

namespace auditchain::test {
namespace {

using Archive = std::vector<ArchivedEntries>;

/// Take positions first..last out of the chain into an archive.
void archive(Chain& chain, Archive& archived, std::int64_t first, std::int64_t last) {
    const auto begin = std::find_if(chain.begin(), chain.end(),
                                    [&](const Row& row) { return row.position == first; });
    const auto end = begin + (last - first + 1);
    archived.push_back({first, last, begin->previous, (end - 1)->checksum});
    chain.erase(begin, end);
}

/// What verification reports: archived entries come before those at their positions or behind.
Report report(const Chain& chain, const Archive& archived) {
    std::vector<Finding> findings;
    Finding out[kMaxFindings];
    const auto keep = [&](std::size_t count) { findings.insert(findings.end(), out, out + count); };
    ChainWalk walk(hasher());
    walk.begin_chain();
    auto next = archived.begin();
    for (const Row& row : chain) {
        for (; next != archived.end() && next->first <= row.position; ++next) {
            keep(walk.next(*next, out));
        }
        keep(walk.next({row.position, row.previous, row.checksum, row.payload, true, 0}, out));
    }
    for (; next != archived.end(); ++next) {
        keep(walk.next(*next, out));
    }
    keep(walk.end_chain(out));
    for (Finding& finding : findings) {
        finding.chain = 1;
    }
    return describe(explained(findings));
}

bool balanced(const Chain& chain, const Archive& archived, std::int64_t newest,
              const Digest& checksum, Random& random) {
    std::array<std::uint8_t, sizeof(LinkBalance::Secret)> bytes;
    std::generate(bytes.begin(), bytes.end(),
                  [&] { return static_cast<std::uint8_t>(random(256)); });
    LinkBalance balance(LinkBalance::make_secret(bytes));
    for (const Row& row : chain) {
        balance.add_entry(1, row.position, row.previous, row.checksum);
        balance.add_key(1, "[\"a\"]");
    }
    for (const ArchivedEntries& run : archived) {
        balance.add_archived(1, run.first, run.last, run.previous, run.checksum);
        balance.add_archived_keys(1, "[\"a\"]", run.last - run.first + 1);
    }
    balance.add_chain(1, newest, checksum);
    balance.add_expected_keys(1, "[\"a\"]", newest);
    return balance.balanced();
}

TEST(Archived, RandomRunsAccountForTheirEntries) {
    Random random;
    for (int round = 0; round < 300; ++round) {
        Chain chain = make_chain(40);
        const Digest newest = chain.back().checksum;
        Archive archived;
        for (std::int64_t first = 1; first < 40;) {
            const auto last = first + static_cast<std::int64_t>(random(8));
            if (last < 40 && random(2) == 0) {
                archive(chain, archived, first, last);
            }
            first = last + 1;
        }
        EXPECT_EQ(report(chain, archived), Report{});
        EXPECT_TRUE(balanced(chain, archived, 40, newest, random));
        if (archived.empty()) {
            continue;
        }
        // One of them forged: an end, or a checksum.
        Archive forged = archived;
        ArchivedEntries& one = forged[random(forged.size())];
        switch (random(4)) {
            case 0:
                ++one.last;
                break;
            case 1:
                ++one.first;
                break;
            case 2:
                one.checksum.bytes[random(32)] ^= 1;
                break;
            default:
                one.previous.bytes[random(32)] ^= 1;
        }
        EXPECT_FALSE(balanced(chain, forged, 40, newest, random));
        forged = archived;
        forged.erase(forged.begin() + static_cast<std::ptrdiff_t>(random(forged.size())));
        EXPECT_FALSE(balanced(chain, forged, 40, newest, random));
    }
}

TEST(Archived, GapsThatNoArchiveAccountsFor) {
    Chain chain = make_chain(12);
    Archive archived;
    archive(chain, archived, 2, 4);
    archive(chain, archived, 7, 9);
    Chain cut = chain;
    cut.erase(cut.begin());  // 1
    EXPECT_EQ(report(cut, archived), Report{"head_missing@1"});
    cut = chain;
    cut.erase(cut.begin() + 1);  // 5
    EXPECT_EQ(report(cut, archived), Report{"entry_missing@5"});
    EXPECT_EQ(report(chain, {archived[1]}), Report{"entry_missing@2-4"});
    EXPECT_EQ(report(chain, {archived[0]}), Report{"entry_missing@7-9"});
    cut.erase(cut.begin() + 1);  // 6
    EXPECT_EQ(report(cut, archived), Report{"entry_missing@5-6"});
}

TEST(Archived, EditsBesideAGap) {
    Chain chain = make_chain(12);
    Archive archived;
    archive(chain, archived, 4, 6);
    const auto tampered = [&](std::size_t row, bool rehashed) {
        Chain copy = chain;
        copy[row].payload = "{\"id\":\"forged\"}";
        if (rehashed) {
            rehash(copy[row]);
        }
        return report(copy, archived);
    };
    EXPECT_EQ(tampered(2, false), Report{"content_modified@3"});
    EXPECT_EQ(tampered(3, false), Report{"content_modified@7"});
    EXPECT_EQ(tampered(2, true), Report{"link_broken@4-6"});
    EXPECT_EQ(tampered(3, true), Report{"link_broken@8"});
}

TEST(Archived, EntriesThatCameBack) {
    Chain chain = make_chain(12);
    const Chain whole = chain;
    Archive archived;
    archive(chain, archived, 4, 6);
    chain.insert(chain.begin() + 3, whole[4]);
    EXPECT_EQ(report(chain, archived), Report{"entry_duplicated@5"});
    chain.insert(chain.begin() + 3, whole[3]);
    EXPECT_EQ(report(chain, archived), (Report{"entry_duplicated@4", "entry_duplicated@5"}));
}

TEST(Archived, ChainThatEndsInAnArchive) {
    Chain chain = make_chain(9);
    Archive archived;
    archive(chain, archived, 5, 8);
    chain.pop_back();
    EXPECT_EQ(report(chain, archived), Report{});  // that 9 is missing, checkpoints tell
    archived[0].previous.bytes[0] ^= 1;
    EXPECT_EQ(report(chain, archived), Report{"link_broken@5-8"});
}

TEST(Archived, OverlapsAreTakenOnce) {
    Chain chain = make_chain(12);
    Archive archived;
    archive(chain, archived, 4, 6);
    EXPECT_EQ(report(chain, {archived[0], archived[0]}), Report{});
    ArchivedEntries longer = archived[0];
    longer.first = 5;
    EXPECT_EQ(report(chain, {archived[0], longer}), Report{});
}

}  // namespace
}  // namespace auditchain::test
