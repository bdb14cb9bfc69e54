#include "digest.h"

#include <gtest/gtest.h>

#include <type_traits>

namespace auditchain {
namespace {

static_assert(std::is_trivially_copyable_v<Digest>);
static_assert(sizeof(Digest) == 32);

TEST(Digest, IsGenesisByDefault) {
    EXPECT_EQ(to_hex(Digest{}), std::string(64, '0'));
}

TEST(Digest, HexIsLowerCase) {
    Digest digest;
    digest.bytes.front() = 0xAB;
    digest.bytes.back() = 0x0F;
    EXPECT_EQ(to_hex(digest), "ab" + std::string(60, '0') + "0f");
}

TEST(Digest, ComparesBytewise) {
    Digest digest;
    EXPECT_EQ(digest, Digest{});
    digest.bytes.back() = 0x80;
    EXPECT_GT(digest, Digest{});
}

TEST(WriteHex, WritesNothingForNoBytes) {
    char out = 'x';
    write_hex(nullptr, 0, &out);
    EXPECT_EQ(out, 'x');
}

}  // namespace
}  // namespace auditchain
