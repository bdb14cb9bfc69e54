#include "json_string.h"

#include <gtest/gtest.h>

#include <string>

#include "random.h"
#include "reference_json.h"

namespace auditchain {
namespace {

std::string json_string(std::string_view utf8) {
    std::string out;
    append_json_string(out, utf8);
    return out;
}

TEST(AppendJsonString, EscapesWhatJcsEscapes) {
    EXPECT_EQ(json_string("\b\t\n\f\r\"\\"), R"("\b\t\n\f\r\"\\")");
    EXPECT_EQ(json_string({"\x00\x0B\x1F", 3}), R"("\u0000\u000b\u001f")");
}

TEST(AppendJsonString, LeavesTheRest) {
    EXPECT_EQ(json_string(""), R"("")");
    EXPECT_EQ(json_string({}), R"("")");
    EXPECT_EQ(json_string("/ '\x7F\u0080\u2028\uFFFF\U0001F600"),
              "\"/ '\x7F\u0080\u2028\uFFFF\U0001F600\"");
}

TEST(AppendJsonString, EscapesAcrossItsBlocks) {
    for (const std::size_t size : {4095U, 4096U, 4097U, 8192U, 10000U}) {
        const std::string text(size, '\x01');
        std::string expected = "\"";
        for (std::size_t i = 0; i < size; ++i) {
            expected += "\\u0001";
        }
        EXPECT_EQ(json_string(text), expected + '"') << size;
        EXPECT_EQ(json_string(std::string(size, 'x') + '"'),
                  '"' + std::string(size, 'x') + "\\\"\"");
    }
}

TEST(AnyNeedsEscape, SeesEveryByteOfEveryLength) {
    for (std::size_t size = 0; size <= 40; ++size) {
        const std::string text(size, '!');
        ASSERT_FALSE(any_needs_escape(text)) << size;
        for (std::size_t at = 0; at < size; ++at) {
            for (const char c : {'\0', '\x1F', '"', '\\', '\x7F', '\xFF'}) {
                std::string changed = text;
                changed[at] = c;
                ASSERT_EQ(any_needs_escape(changed), needs_escape(c)) << size << ' ' << at;
            }
        }
    }
}

TEST(NextUnescaped, UndoesEveryByte) {
    for (int byte = 0; byte < 256; ++byte) {
        const char c = static_cast<char>(byte);
        const std::string json = json_string({&c, 1});
        const char* p = json.data() + 1;
        EXPECT_EQ(next_unescaped(p), byte);
        EXPECT_EQ(p, json.data() + json.size() - 1) << byte;
    }
}

TEST(CompareEscaped, AgreesWithCompareUtf16) {
    const auto inner = [](const std::string& json) {
        return std::string_view(json).substr(1, json.size() - 2);
    };
    test::Random random;
    for (int i = 0; i < 100000; ++i) {
        const std::string a = test::make_string(random);
        const std::string b = test::make_string(random);
        const std::string x = json_string(a);
        const std::string y = json_string(b);
        ASSERT_EQ(compare_escaped(inner(x), inner(y)) < 0, compare_utf16(a, b) < 0) << x << y;
        ASSERT_EQ(compare_escaped(inner(x), inner(y)) == 0, a == b) << x << y;
    }
}

}  // namespace
}  // namespace auditchain
