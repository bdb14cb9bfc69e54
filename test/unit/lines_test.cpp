#include "lines.h"

#include <gtest/gtest.h>

#include <cstdint>

namespace auditchain {
namespace {

TEST(Lines, AreTakenOneByOne) {
    std::string_view text = "one\n\nthree\nrest";
    EXPECT_EQ(take_line(text), "one");
    EXPECT_EQ(take_line(text), "");
    EXPECT_EQ(take_line(text), "three");
    EXPECT_EQ(take_line(text), std::nullopt);
    EXPECT_EQ(text, "rest");
}

TEST(Decimal, ReadsWhatItWrites) {
    for (const std::uint64_t number : {std::uint64_t{0}, std::uint64_t{7}, std::uint64_t{10},
                                       std::uint64_t{INT64_MAX}, UINT64_MAX}) {
        EXPECT_EQ(to_decimal(number), std::to_string(number));
        EXPECT_EQ(parse_decimal(to_decimal(number), UINT64_MAX), number);
    }
}

TEST(Decimal, HasOneText) {
    for (const char* text : {"", "00", "01", "-1", "+1", " 1", "1 ", "1\n", "0x1", "1e3", "1.0",
                             "a", "18446744073709551616", "99999999999999999999999", "\xD9\xA1"}) {
        EXPECT_EQ(parse_decimal(text, UINT64_MAX), std::nullopt) << text;
    }
}

TEST(Decimal, HasALimit) {
    EXPECT_EQ(parse_decimal("5", 5), 5u);
    EXPECT_EQ(parse_decimal("6", 5), std::nullopt);
    EXPECT_EQ(parse_decimal("50", 5), std::nullopt);
    EXPECT_EQ(parse_decimal("9223372036854775807", INT64_MAX), std::uint64_t{INT64_MAX});
    EXPECT_EQ(parse_decimal("9223372036854775808", INT64_MAX), std::nullopt);
}

}  // namespace
}  // namespace auditchain
