#include "leaf.h"

#include <gtest/gtest.h>

#include <cstdint>
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

}  // namespace
}  // namespace auditchain
