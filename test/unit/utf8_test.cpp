#include "utf8.h"

#include <gtest/gtest.h>

#include <string>
#include <string_view>

namespace auditchain {
namespace {

TEST(Utf8, ReadsOneCharacterAfterTheOther) {
    std::string_view text = "a\xC3\xA9\xE2\x82\xAC\xF0\x90\x80\x80\xF4\x8F\xBF\xBF\xEF\xBF\xBF";
    for (const char32_t c : {0x61, 0xE9, 0x20AC, 0x10000, 0x10FFFF, 0xFFFF}) {
        EXPECT_EQ(next_code_point(text), c);
    }
    EXPECT_TRUE(text.empty());
}

TEST(Utf8, RefusesWhatIsNone) {
    for (const std::string_view text :
         {"\x80", "\xBF", "\xC0\x80", "\xC1\xBF", "\xC3", "\xC3(", "\xE0\x9F\xBF", "\xE2\x82",
          "\xE2(\xAC", "\xED\xA0\x80", "\xED\xBF\xBF", "\xF0\x8F\xBF\xBF", "\xF0\x90\x80",
          "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xFF", "\xFE"}) {
        std::string_view rest = text;
        EXPECT_EQ(next_code_point(rest), kNotUtf8);
        EXPECT_EQ(rest, text) << "nothing is taken";
    }
}

TEST(Utf8, KnowsEveryUnicodeSpace) {
    int spaces = 0;
    for (char32_t c = 0; c <= 0x10FFFF; ++c) {
        spaces += is_unicode_space(c) ? 1 : 0;
    }
    EXPECT_EQ(spaces, 25) << "characters with the property White_Space";
}

}  // namespace
}  // namespace auditchain
