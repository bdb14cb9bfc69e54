#include "link_balance.h"

#include <algorithm>
#include <array>
#include <limits>

#include <gtest/gtest.h>

#include "chain_fixture.h"
#include "random.h"

namespace auditchain::test {
namespace {

struct StoredEntry {
    std::int32_t chain;
    std::int64_t position;
    Digest previous;
    Digest checksum;
    std::string key;
};

struct ChainEnd {
    std::int32_t chain;
    std::string key;
    std::int64_t newest;
    Digest checksum;
};

struct StoredLog {
    std::vector<StoredEntry> entries;
    std::vector<ChainEnd> ends;
};

StoredLog make_log(int chains, std::int64_t size) {
    StoredLog log;
    for (int id = 1; id <= chains; ++id) {
        const std::string key = "[\"tenant " + std::to_string(id) + "\"]";
        for (const Row& row : make_chain(size, key)) {
            log.entries.push_back({id, row.position, row.previous, row.checksum, key});
        }
        log.ends.push_back({id, key, size, log.entries.back().checksum});
    }
    return log;
}

LinkBalance::Secret make_secret(Random& random) {
    std::array<std::uint8_t, sizeof(LinkBalance::Secret)> bytes;
    std::generate(bytes.begin(), bytes.end(),
                  [&] { return static_cast<std::uint8_t>(random(256)); });
    return LinkBalance::make_secret(bytes);
}

/// Takes the entries in a random order, split among workers.
bool balanced(StoredLog log, Random& random, std::size_t workers = 3) {
    std::shuffle(log.entries.begin(), log.entries.end(), random.engine());
    const auto secret = make_secret(random);
    std::vector<LinkBalance> parts(workers, LinkBalance(secret));
    for (const StoredEntry& entry : log.entries) {
        LinkBalance& part = parts[random(workers)];
        part.add_entry(entry.chain, entry.position, entry.previous, entry.checksum);
        part.add_key(entry.chain, entry.key);
    }
    LinkBalance whole(secret);
    for (const LinkBalance& part : parts) {
        whole.merge(part);
    }
    for (const ChainEnd& end : log.ends) {
        whole.add_chain(end.chain, end.newest, end.checksum);
        whole.add_expected_keys(end.chain, end.key, end.newest);
    }
    return whole.balanced();
}

TEST(LinkBalance, IntactLogsAreBalanced) {
    Random random;
    EXPECT_TRUE(balanced({}, random));
    EXPECT_TRUE(balanced(make_log(1, 1), random));
    EXPECT_TRUE(balanced(make_log(1, 500), random));
    EXPECT_TRUE(balanced(make_log(20, 30), random, 7));
}

/// Applies each kind of tampering to entries drawn at random. Chain ends are as an index would show
/// them afterwards: the newest that is left.
TEST(LinkBalance, TamperedLogsAreNot) {
    Random random;
    for (int round = 0; round < 200; ++round) {
        const StoredLog intact = make_log(3, 20);
        const auto tampered = [&](auto deed) {
            StoredLog log = intact;
            deed(log.entries, log.entries[random(3) * 20 + 1 + random(18)]);  // not an end
            return balanced(log, random);
        };
        using Entries = std::vector<StoredEntry>;
        EXPECT_FALSE(tampered([](Entries& all, StoredEntry& e) {
            all.erase(all.begin() + (&e - all.data()));
        })) << "deleted";
        EXPECT_FALSE(tampered([](Entries& all, StoredEntry& e) { all.push_back(StoredEntry(e)); }))
            << "duplicated";
        EXPECT_FALSE(tampered([&](Entries&, StoredEntry& e) { e.checksum.bytes[random(32)] ^= 1; }))
            << "checksum";
        EXPECT_FALSE(tampered([&](Entries&, StoredEntry& e) {
            e.previous.bytes[random(32)] ^= 128;
        })) << "previous checksum";
        EXPECT_FALSE(tampered([](Entries&, StoredEntry& e) { e.chain = e.chain % 3 + 1; }))
            << "moved";
        EXPECT_FALSE(tampered([](Entries&, StoredEntry& e) { e.key += " "; })) << "key";
        EXPECT_FALSE(tampered([](Entries&, StoredEntry& e) { e.position += 40; })) << "position";
        EXPECT_FALSE(tampered([](Entries& all, StoredEntry& e) {
            std::swap(e.position, all[static_cast<std::size_t>(&e - all.data()) + 1].position);
        })) << "swapped";
        EXPECT_FALSE(tampered([](Entries& all, StoredEntry& e) {
            StoredEntry stray = e;
            stray.chain = 77;
            all.push_back(stray);
        })) << "stray";
    }
}

TEST(LinkBalance, CutHeadIsNotBalanced) {
    Random random;
    StoredLog log = make_log(2, 10);
    log.entries.erase(log.entries.begin(), log.entries.begin() + 4);
    EXPECT_FALSE(balanced(log, random));
}

TEST(LinkBalance, NewestThatIsNotTheNewestIsNotBalanced) {
    Random random;
    StoredLog log = make_log(1, 10);
    log.ends[0].newest = 9;
    log.ends[0].checksum = log.entries[8].checksum;
    EXPECT_FALSE(balanced(log, random));
}

/// What a hash that is linear in the words of an item would miss if the items were summed up.
TEST(LinkBalance, ExchangedWordsAreFound) {
    Random random;
    StoredLog log = make_log(1, 10);
    std::swap(log.entries[3].checksum.bytes[0], log.entries[6].checksum.bytes[0]);
    EXPECT_FALSE(balanced(log, random));
    log = make_log(2, 10);
    std::swap(log.entries[3].key, log.entries[13].key);
    EXPECT_FALSE(balanced(log, random));
}

TEST(LinkBalance, ForgedPositionsDoNotOverflow) {
    Random random;
    StoredLog log = make_log(1, 3);
    log.entries[1].position = std::numeric_limits<std::int64_t>::min();
    EXPECT_FALSE(balanced(log, random));
    log.entries[1].position = std::numeric_limits<std::int64_t>::max();
    EXPECT_FALSE(balanced(log, random));
}

TEST(LinkBalance, KeysDifferByLengthToo) {
    Random random;
    const auto secret = make_secret(random);
    LinkBalance balance(secret);
    balance.add_key(1, "[\"a\"]");
    balance.add_expected_keys(1, std::string_view("[\"a\"]\0", 6), 1);
    EXPECT_FALSE(balance.balanced());
}

}  // namespace
}  // namespace auditchain::test
