#include "utf16_order.h"

#include <gtest/gtest.h>

#include <string>

#include "random.h"
#include "reference_json.h"

namespace auditchain {
namespace {

int sign(int order) {
    return (order > 0) - (order < 0);
}

TEST(CompareUtf16, OrdersTheNamesOfRfc8785) {
    const char* const names[] = {"\r", "1", "\u0080", "\u00F6", "\u20AC", "\U0001F600", "\uFB33"};
    for (std::size_t i = 0; i < std::size(names); ++i) {
        for (std::size_t k = 0; k < std::size(names); ++k) {
            EXPECT_EQ(sign(compare_utf16(names[i], names[k])), (i > k) - (i < k)) << i << ' ' << k;
        }
    }
}

TEST(CompareUtf16, PrefixComesFirst) {
    EXPECT_LT(compare_utf16("", "a"), 0);
    EXPECT_LT(compare_utf16("a", "ab"), 0);
    EXPECT_GT(compare_utf16("a\uFFFF", "a"), 0);
    EXPECT_EQ(compare_utf16("", ""), 0);
    EXPECT_EQ(compare_utf16({"a\0b", 3}, {"a\0b", 3}), 0);
    EXPECT_LT(compare_utf16({"a\0b", 3}, {"a\0c", 3}), 0);
}

TEST(CompareUtf16, SurrogatesComeBeforeTheEndOfThePlane) {
    EXPECT_LT(compare_utf16("\uD7FF", "\U00010000"), 0);
    EXPECT_LT(compare_utf16("\U0010FFFF", "\uE000"), 0);
    EXPECT_LT(compare_utf16("\U0010FFFF", "\uFFFF"), 0);
    EXPECT_LT(compare_utf16("\uE000", "\uFFFF"), 0);
    EXPECT_LT(compare_utf16("\U00010000", "\U0010FFFF"), 0);
}

TEST(CompareUtf16, AgreesWithConversion) {
    test::Random random;
    for (int i = 0; i < 100000; ++i) {
        const std::string common = test::make_string(random);
        const std::string a = common + test::make_string(random);
        const std::string b = common + test::make_string(random);
        ASSERT_EQ(sign(compare_utf16(a, b)), sign(test::to_utf16(a).compare(test::to_utf16(b))))
            << a << '\n'
            << b;
    }
}

}  // namespace
}  // namespace auditchain
