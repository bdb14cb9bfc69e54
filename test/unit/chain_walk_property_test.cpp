// Random tampering, judged against the definition of an intact chain.
#include "chain_walk.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <string>
#include <vector>

#include "chain_fixture.h"
#include "random.h"

namespace auditchain {
namespace {

using test::Chain;
using test::Random;
using test::Row;

/// Tamper with a chain in one random way. The result may still be intact.
void tamper(Chain& chain, Random& random) {
    if (chain.empty()) {
        return;
    }
    const std::size_t i = random(chain.size());
    const std::size_t k = random(chain.size());
    switch (random(11)) {
        case 0:
            chain[i].payload += ' ';
            break;
        case 1:
            chain[i].checksum.bytes[random(32)] ^= 1;
            break;
        case 2:
            chain[i].previous.bytes[random(32)] ^= 1;
            break;
        case 3:
            test::rehash(chain[i]);
            break;
        case 4:
            chain.erase(chain.begin() + i);
            break;
        case 5:
            chain.push_back(Row(chain[i]));
            break;
        case 6:
            std::swap(chain[i].position, chain[k].position);
            break;
        case 7:
            chain[i].position = static_cast<std::int64_t>(random(chain.size() + 4)) - 1;
            break;
        case 8:
            chain[i].key_matches = false;
            break;
        case 9:
            chain[i].previous = chain[k].checksum;
            break;
        default:
            for (Row& row : chain) {
                row.position += row.position > chain[i].position;
            }
    }
}

bool intact(const Row& row) {
    return entry_checksum(test::hasher(), row.previous, row.payload) == row.checksum;
}

/// The definition: positions 1, 2, 3 …, each row hashed over the one before.
bool intact(Chain chain) {
    std::sort(chain.begin(), chain.end(),
              [](const Row& a, const Row& b) { return a.position < b.position; });
    Digest previous;
    std::int64_t position = 0;
    for (const Row& row : chain) {
        if (row.position != ++position || row.previous != previous || !row.key_matches ||
            !intact(row)) {
            return false;
        }
        previous = row.checksum;
    }
    return true;
}

/// Check what follows from the rows at each position, wherever the chain is broken.
void check_positions(const Chain& chain, const std::vector<Finding>& findings) {
    std::map<std::int64_t, std::vector<const Row*>> positions;
    for (const Row& row : chain) {
        positions[row.position].push_back(&row);
    }
    std::map<std::int64_t, std::size_t> duplicates;
    std::map<std::int64_t, std::int64_t> gaps;
    std::map<std::int64_t, std::vector<Violation>> others;
    for (const Finding& finding : findings) {
        if (finding.kind == Violation::entry_duplicated) {
            ++duplicates[finding.first];
        } else if (!finding.has_row) {
            gaps[finding.first] = finding.last;
        } else {
            others[finding.first].push_back(finding.kind);
        }
    }
    std::int64_t expected = 1;
    for (const auto& [position, rows] : positions) {
        if (position < 1) {
            ASSERT_EQ(others[position].size(), rows.size());
            continue;
        }
        ASSERT_EQ(duplicates[position], rows.size() - 1) << position;
        ASSERT_LE(others[position].size(), 1u) << position;
        if (rows.size() == 1 && !intact(*rows[0])) {
            ASSERT_EQ(others[position].size(), 1u) << position;
        }
        if (position > expected) {
            ASSERT_EQ(gaps[expected], position - 1);
            gaps.erase(expected);
        }
        expected = position + 1;
    }
    ASSERT_TRUE(gaps.empty());
}

TEST(ChainWalkProperty, FindsSomethingExactlyIfTheChainIsNotIntact) {
    Random random;
    for (int round = 0; round < 20000; ++round) {
        Chain chain = test::make_chain(static_cast<std::int64_t>(random(9)));
        for (std::size_t i = random(5); i > 0; --i) {
            tamper(chain, random);
        }
        std::shuffle(chain.begin(), chain.end(), random.engine());
        const auto findings = test::walk({chain});
        ASSERT_EQ(findings.empty(), intact(chain)) << round;
        check_positions(chain, findings);
        ASSERT_FALSE(HasFatalFailure()) << round;

        const auto explained = test::explained(findings);
        ASSERT_EQ(explained.empty(), findings.empty()) << round;
        ASSERT_LE(explained.size(), findings.size()) << round;
        auto shuffled = findings;
        std::shuffle(shuffled.begin(), shuffled.end(), random.engine());
        ASSERT_EQ(test::describe(test::explained(shuffled)), test::describe(explained)) << round;
    }
}

TEST(ChainWalkProperty, OneEditIsOneViolation) {
    Random random;
    for (int round = 0; round < 20000; ++round) {
        const auto size = static_cast<std::int64_t>(2 + random(8));
        Chain chain = test::make_chain(size);
        tamper(chain, random);
        std::shuffle(chain.begin(), chain.end(), random.engine());
        const auto report = test::report(chain);
        ASSERT_LE(report.size(), 1u) << round << ": " << ::testing::PrintToString(report);
    }
}

/// Take entries first..last out of a chain.
Chain cut(Chain& chain, std::size_t first, std::size_t last) {
    Chain block(chain.begin() + first, chain.begin() + last + 1);
    chain.erase(chain.begin() + first, chain.begin() + last + 1);
    return block;
}

/// Put a block where it is to begin at a position, and make room for it or not.
void put(Chain& chain, const Chain& block, std::int64_t position, bool make_room) {
    for (Row& row : chain) {
        row.position +=
            make_room && row.position >= position ? static_cast<std::int64_t>(block.size()) : 0;
    }
    for (Row row : block) {
        row.position = position++;
        chain.push_back(row);
    }
}

void close_gap(Chain& chain, const Chain& block) {
    for (Row& row : chain) {
        row.position -=
            row.position > block[0].position ? static_cast<std::int64_t>(block.size()) : 0;
    }
}

TEST(ChainWalkProperty, AMovedBlockIsOneViolation) {
    Random random;
    for (int round = 0; round < 20000; ++round) {
        std::vector<Chain> chains = {test::make_chain(2 + random(12), "a"),
                                     test::make_chain(2 + random(12), "b")};
        Chain& from = chains[random(2)];
        Chain& to = chains[random(2)];
        const std::size_t first = random(from.size());
        const std::size_t last = first + random(from.size() - first);
        Chain block = cut(from, first, last);
        const bool renumbered = random(2);
        if (renumbered) {
            close_gap(from, block);
        }
        const auto end = static_cast<std::int64_t>(to.size());
        if (&from != &to && random(2)) {
            for (Row& row : block) {
                row.key_matches = false;  // else it cannot be told which of two heads was moved
            }
            put(to, block, 1 + static_cast<std::int64_t>(random(to.size() + 1)), true);
        } else {
            const bool behind_gap = &from == &to && !renumbered;
            put(to, block, end + 1 + (behind_gap ? static_cast<std::int64_t>(block.size()) : 0),
                false);
        }
        const auto report = test::report(chains);
        ASSERT_LE(report.size(), 1u) << round << ": " << ::testing::PrintToString(report);
    }
}

TEST(ChainWalkProperty, ASwapIsOneViolationWhateverTheDistance) {
    Random random;
    for (int round = 0; round < 5000; ++round) {
        Chain chain = test::make_chain(2 + random(30));
        const std::size_t a = random(chain.size());
        const std::size_t b = (a + 1 + random(chain.size() - 1)) % chain.size();
        std::swap(chain[a].position, chain[b].position);
        ASSERT_EQ(test::report(chain),
                  test::Report{"link_broken@" + std::to_string(std::min(a, b) + 1)})
            << round;
    }
}

TEST(ChainWalkProperty, CausesFarFromEachOtherAreAllFound) {
    Random random;
    for (int round = 0; round < 20000; ++round) {
        Chain chain;
        std::size_t causes = 0;
        const Chain whole = test::make_chain(60);
        for (std::size_t start = 0; start < whole.size(); start += 10) {
            Chain part(whole.begin() + start, whole.begin() + start + 10);
            // In the middle, so that what is next to the change is as it was.
            Row& row = part[3 + random(4)];
            ++causes;
            switch (random(7)) {
                case 0:
                    row.payload = "{}";
                    break;
                case 1:
                    row.checksum.bytes[random(32)] ^= 1;
                    break;
                case 2:
                    row.previous.bytes[random(32)] ^= 1;
                    break;
                case 3:
                    row.payload = "{}";
                    test::rehash(row);
                    break;
                case 4:
                    part.erase(part.begin() + 3 + random(2), part.begin() + 5 + random(2));
                    break;
                case 5:
                    std::swap(row.position, part[row.position % 10 < 5 ? 7 : 2].position);
                    break;
                default:
                    --causes;
            }
            chain.insert(chain.end(), part.begin(), part.end());
        }
        const auto report = test::report(chain);
        ASSERT_EQ(report.size(), causes) << round << ": " << ::testing::PrintToString(report);
    }
}

TEST(ChainWalkProperty, FindingsDoNotDependOnTheOrderOfIdenticalRows) {
    Random random;
    for (int round = 0; round < 5000; ++round) {
        Chain chain = test::make_chain(static_cast<std::int64_t>(2 + random(8)));
        tamper(chain, random);
        const auto report = test::report(chain);
        for (int i = 0; i < 4; ++i) {
            std::shuffle(chain.begin(), chain.end(), random.engine());
            ASSERT_EQ(test::report(chain), report) << round;
        }
    }
}

}  // namespace
}  // namespace auditchain
