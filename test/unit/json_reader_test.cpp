#include "json_reader.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "json_cursor.h"

namespace auditchain {
namespace {

std::string value_of(std::string_view json) {
    JsonReader reader(json);
    std::string_view value;
    return reader.value(&value) && reader.at_end() ? std::string(value) : "no value";
}

TEST(JsonReader, TakesObjectsApart) {
    JsonReader reader(R"({"a":1,"b\"":{"c":["]}",[2]]},"":"x\\"})");
    std::vector<std::string> found;
    std::string_view name;
    std::string_view value;
    ASSERT_TRUE(reader.take('{'));
    do {
        ASSERT_TRUE(reader.string(&name) && reader.take(':') && reader.value(&value));
        found.push_back(std::string(name) + " is " + std::string(value));
    } while (reader.take(','));
    EXPECT_TRUE(reader.take('}') && reader.at_end());
    EXPECT_EQ(found,
              (std::vector<std::string>{"a is 1", R"(b\" is {"c":["]}",[2]]})", R"( is "x\\")"}));
}

TEST(JsonReader, ReadsValuesOfAllKinds) {
    for (const char* json : {"null", "true", "-0.10", "1e400", R"("")", R"("\"\\\u001f")", "[]",
                             "{}", R"([1,[2,"]"],{"a":[]}])"}) {
        EXPECT_EQ(value_of(json), json);
    }
}

TEST(JsonReader, SaysNoToWhatHasNoEnd) {
    for (const char* json : {"", R"(")", R"("a)", R"("\")", R"("\u001")", R"("\u00"")", "[", "[1",
                             R"({"a":"})", "]", ",", R"(["\)"}) {
        EXPECT_EQ(value_of(json), "no value") << json;
    }
}

// Whatever it is given, what it gives back is part of that, and strings can be unescaped.
TEST(JsonReader, StaysWithinAnyText) {
    const std::string alphabet = R"("\u0[]{},:1)";
    for (std::size_t n = 0; n < 200000; ++n) {
        std::string text;
        for (std::size_t rest = n; rest != 0; rest /= alphabet.size()) {
            text += alphabet[rest % alphabet.size()];
        }
        const std::vector<char> exact(text.begin(), text.end());
        JsonReader reader(std::string_view(exact.data(), exact.size()));
        std::string_view found;
        if (reader.string(&found)) {
            std::vector<char> out(found.size() + 1);
            EXPECT_LE(unescape(found, out.data()), out.data() + found.size());
        } else {
            reader.value(&found);
        }
        EXPECT_LE(found.size(), text.size());
    }
}

}  // namespace
}  // namespace auditchain
