#include "checksum.h"

#include <gtest/gtest.h>

#include <string>

#include "vectors.h"

namespace auditchain {
namespace {

TEST(EntryChecksum, AgreesWithVectors) {
    Sha256 sha256;
    Digest previous;
    for (const auto& vector : test::read_vectors("checksums.jsonl")) {
        ASSERT_EQ(to_hex(previous), vector["previous"].get<std::string>());
        previous = entry_checksum(sha256, previous, vector["payload"].get<std::string>());
        EXPECT_EQ(to_hex(previous), vector["checksum"].get<std::string>());
    }
}

TEST(EntryChecksum, CoversPreviousAndPayload) {
    Sha256 sha256;
    Digest other;
    other.bytes[31] = 1;
    EXPECT_NE(entry_checksum(sha256, {}, "{}"), entry_checksum(sha256, other, "{}"));
    EXPECT_NE(entry_checksum(sha256, {}, "{}"), entry_checksum(sha256, {}, "{} "));
}

}  // namespace
}  // namespace auditchain
