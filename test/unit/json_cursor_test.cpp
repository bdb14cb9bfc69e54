#include <string>

#include <gtest/gtest.h>

#include "json_cursor.h"
#include "json_string.h"
#include "malformed.h"
#include "random.h"

namespace auditchain::test {
namespace {

TEST(JsonCursor, ReadsWhatIsExpected) {
    JsonCursor cursor("{\"a\":1,\"b\":\"c\"}");
    cursor.expect("{\"a\":");
    EXPECT_EQ(cursor.number(1), 1U);
    EXPECT_FALSE(cursor.take("}"));
    EXPECT_TRUE(cursor.take(",\"b\":"));
    EXPECT_EQ(cursor.escaped(), "c");
    EXPECT_THROW(cursor.expect("]"), Malformed);
    cursor.expect("}");
    EXPECT_EQ(cursor.rest(), "");
}

TEST(JsonCursor, NumbersHaveOneForm) {
    EXPECT_EQ(JsonCursor("0,").number(10), 0U);
    EXPECT_EQ(JsonCursor("18446744073709551615").number(UINT64_MAX), UINT64_MAX);
    for (const char* text : {"", "-1", "01", "00", "x", "11", "18446744073709551616"}) {
        EXPECT_THROW(JsonCursor(text).number(10), Malformed) << text;
    }
    EXPECT_THROW(JsonCursor("18446744073709551616").number(UINT64_MAX), Malformed);
}

TEST(JsonCursor, DigestsAreLowerCaseHex) {
    const std::string hex = "\"" + std::string(62, '0') + "af\"";
    EXPECT_EQ(JsonCursor(hex).digest().bytes[31], 0xAF);
    for (std::string text :
         {"\"" + std::string(62, '0') + "aF\"", "\"" + std::string(63, '0') + "\"",
          "\"" + std::string(65, '0') + "\"", "\"" + std::string(64, '0'), std::string(66, '0'),
          std::string("\"\"")}) {
        EXPECT_THROW(JsonCursor(text).digest(), Malformed) << text;
    }
}

TEST(JsonCursor, StringsHaveOneForm) {
    for (const char* text :
         {"\"\\/\"", "\"\\u0041\"", "\"\\u000A\"", "\"\\u000a\"", "\"\\u0022\"", "\"\\x\"",
          "\"\\\"", "\"", "\"a", "x", "\"\n\"", "\"\\u00\"", "\"12345678\\\""}) {
        EXPECT_THROW(JsonCursor(text).escaped(), Malformed) << text;
    }
}

TEST(JsonCursor, StringsComeBack) {
    Random random;
    for (int round = 0; round < 2000; ++round) {
        std::string text(random(60), '\0');
        for (char& c : text) {
            c = static_cast<char>(random(2) == 0 ? random(256)
                                                 : "\"\\\n\x1f"
                                                   "a"[random(5)]);
        }
        std::string json;
        append_json_string(json, text);
        JsonCursor cursor(json);
        const std::string_view escaped = cursor.escaped();
        ASSERT_EQ(cursor.rest(), "");
        std::string again(escaped.size(), '\0');
        again.resize(static_cast<std::size_t>(unescape(escaped, again.data()) - again.data()));
        ASSERT_EQ(again, text);
    }
}

TEST(JsonCursor, ValuesEndWhereTheyEnd) {
    for (const char* value :
         {"null", "1.5e3", "\"a,]}\"", "[]", "{}", "[1,[2,\"]\"],{\"a\":\"}\"}]",
          "{\"keep\": \"7 years\", \"holds\": [1, 2]}"}) {
        for (const char* end : {"", ",", "}", "]"}) {
            const std::string text = std::string(value) + end;
            JsonCursor cursor(text);
            EXPECT_EQ(cursor.value(), value);
            EXPECT_EQ(cursor.rest(), end);
        }
    }
    for (const char* text : {"", ",", "]", "}", ":", "[", "{\"a\":1", "\"a"}) {
        EXPECT_THROW(JsonCursor(text).value(), Malformed) << text;
    }
}

}  // namespace
}  // namespace auditchain::test
