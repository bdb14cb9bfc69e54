#include "digits.h"

#include <gtest/gtest.h>

#include <string>

namespace auditchain {
namespace {

std::string digits(std::uint32_t number, int width) {
    char text[16];
    return {text, write_digits(text, number, width)};
}

TEST(WriteDigits, PadsWithZeros) {
    EXPECT_EQ(digits(0, 0), "");
    EXPECT_EQ(digits(7, 1), "7");
    EXPECT_EQ(digits(7, 2), "07");
    EXPECT_EQ(digits(42, 5), "00042");
    EXPECT_EQ(digits(4294967295, 10), "4294967295");
    EXPECT_EQ(digits(4294967295, 11), "04294967295");
}

TEST(WriteDigits, WritesTheLast) {
    EXPECT_EQ(digits(12345, 3), "345");
    EXPECT_EQ(digits(12345, 2), "45");
}

TEST(WriteDigits, AgreesWithToString) {
    for (std::uint32_t number = 10000; number < 100000; ++number) {
        ASSERT_EQ(digits(number, 5), std::to_string(number));
    }
}

}  // namespace
}  // namespace auditchain
