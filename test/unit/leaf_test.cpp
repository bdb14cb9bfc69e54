#include "leaf.h"

#include "merkle.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <vector>
#include <string>

namespace auditchain {
namespace {

TEST(Leaf, IsFiveLines) {
    Digest checksum;
    checksum.bytes.fill(0xAB);
    EXPECT_EQ(entry_leaf("0f8fad5b-d9cb-469f-a165-70867728950e", R"(["acme",null]/3)", INT64_MAX,
                         checksum),
              "auditchain/v1\n0f8fad5b-d9cb-469f-a165-70867728950e\n[\"acme\",null]/3\n"
              "9223372036854775807\n" +
                  to_hex(checksum) + "\n");
}

TEST(Leaf, HashesThoseOfEntriesInARow) {
    Sha256 sha256;
    std::vector<Digest> hashes(12);
    std::vector<Digest> expected;
    for (std::size_t i = 0; i < hashes.size(); ++i) {  // position 9 has a digit, 10 two
        hashes[i].bytes.fill(static_cast<std::uint8_t>(i));
        expected.push_back(leaf_hash(
            sha256, entry_leaf("log", "[]/0", static_cast<std::int64_t>(i) + 5, hashes[i])));
    }
    hash_leaves(sha256, "log", "[]/0", 5, hashes);
    EXPECT_EQ(hashes, expected);
}

}  // namespace
}  // namespace auditchain
