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
        if (rows.size() == 1 && (!intact(*rows[0]) || !rows[0]->key_matches)) {
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
        ASSERT_EQ(test::explained(explained).size(), explained.size()) << round;
        ASSERT_LE(explained.size(), findings.size()) << round;
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
        // Two distant entries swapped are two causes.
        ASSERT_LE(report.size(), 2u) << round << ": " << ::testing::PrintToString(report);
        if (report.size() == 2) {
            ASSERT_EQ(report[0].substr(0, 11), "link_broken") << round;
            ASSERT_EQ(report[1].substr(0, 11), "link_broken") << round;
        }
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
