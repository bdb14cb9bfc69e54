#include "csv.h"

#include <gtest/gtest.h>

#include <string>

namespace auditchain {
namespace {

std::string field(std::string_view json) {
    std::string out;
    append_csv_field(out, json);
    return out;
}

std::string text_field(std::string_view text) {
    std::string json;
    append_json_string(json, text);
    return field(json);
}

TEST(IsPlainNumber, TakesNumbersOnly) {
    for (const char* number : {"0", "5", "-5", "+49", "-0.10", "1e7", "-1.5E-07", "1e+7"}) {
        EXPECT_TRUE(is_plain_number(number)) << number;
    }
    for (const char* text : {"", "-", "+", "-.", "5.", ".5", "1e", "1e+", "--5", "-5-3", "-5 ",
                             "1,5", "0x1", "Infinity", "-Infinity", "=5"}) {
        EXPECT_FALSE(is_plain_number(text)) << text;
    }
}

TEST(AppendCsvField, WritesEachKindOfValue) {
    EXPECT_EQ(field("null"), "");
    EXPECT_EQ(field("\"\""), "");
    EXPECT_EQ(field("true"), "true");
    EXPECT_EQ(field("-12345678901234567890.50"), "-12345678901234567890.50");
    EXPECT_EQ(field("\"alice\""), "alice");
    EXPECT_EQ(field("\"null\""), "null");
    EXPECT_EQ(field(R"({"a":"x\"y\n"})"), R"("{""a"":""x\""y\n""}")");
}

TEST(AppendCsvField, QuotesWhatRfc4180Says) {
    EXPECT_EQ(text_field("a,b"), "\"a,b\"");
    EXPECT_EQ(text_field("say \"hi\""), "\"say \"\"hi\"\"\"");
    EXPECT_EQ(text_field("two\nlines"), "\"two\nlines\"");
    EXPECT_EQ(text_field("two\r\nlines"), "\"two\r\nlines\"");
    EXPECT_EQ(text_field(" plain; 'text' \\ \t"), " plain; 'text' \\ \t");
}

TEST(AppendCsvField, NeutralisesFormulas) {
    EXPECT_EQ(text_field("=1+2"), "'=1+2");
    EXPECT_EQ(text_field("@SUM(A1)"), "'@SUM(A1)");
    EXPECT_EQ(text_field("+cmd|' /C calc'!A0"), "'+cmd|' /C calc'!A0");
    EXPECT_EQ(text_field("-2+3"), "'-2+3");
    EXPECT_EQ(text_field("-"), "'-");
    EXPECT_EQ(text_field("\t=1"), "'\t=1");
    EXPECT_EQ(text_field("\r=1"), "\"'\r=1\"");
    EXPECT_EQ(text_field("=HYPERLINK(\"x\",\"y\")"), "\"'=HYPERLINK(\"\"x\"\",\"\"y\"\")\"");
}

TEST(AppendCsvField, LeavesNumbersThatAreText) {
    EXPECT_EQ(text_field("-5"), "-5");
    EXPECT_EQ(text_field("+4912345"), "+4912345");
    EXPECT_EQ(text_field("-1.5e-7"), "-1.5e-7");
}

}  // namespace
}  // namespace auditchain
