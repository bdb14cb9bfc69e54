#include "payload_writer.h"

#include <gtest/gtest.h>

#include <string>
#include <type_traits>

#include "json_replay.h"
#include "vectors.h"

namespace auditchain {
namespace {

/// A buffer as the backend has one: nothing to destroy, so that longjmp may leave it.
struct PlainBuffer {
    void append(const char*, std::size_t) {}
    char* data() { return nullptr; }
    std::size_t size() const { return 0; }
    void resize(std::size_t) {}
};
static_assert(std::is_trivially_destructible_v<PayloadWriter<PlainBuffer>>);

class PayloadWriterTest : public testing::Test {
  protected:
    std::string out_;
    std::string scratch_;
    PayloadWriter<std::string> writer_{out_, scratch_};
};

TEST(PayloadWriter, AgreesWithVectors) {
    for (const auto& vector : test::read_vectors("canonical_json.jsonl")) {
        const auto canonical = vector["canonical"].get<std::string>();
        const auto replayed = test::replay(vector["input"].get<std::string>());
        ASSERT_TRUE(replayed) << vector["name"];
        EXPECT_EQ(replayed->text, canonical) << vector["name"];
        EXPECT_FALSE(replayed->has_duplicate_key) << vector["name"];
        EXPECT_EQ(test::replay(canonical)->text, canonical) << vector["name"];
    }
}

TEST_F(PayloadWriterTest, WritesEveryKindOfValue) {
    const std::uint8_t bytes[] = {0x00, 0xDE, 0xAD};
    writer_.begin_array();
    writer_.string("text");
    writer_.hex_string(bytes);
    writer_.hex_string({});
    writer_.number("0.10");
    writer_.boolean(true);
    writer_.boolean(false);
    writer_.null();
    writer_.begin_object();
    writer_.end_object();
    writer_.begin_array();
    writer_.end_array();
    writer_.end_array();
    EXPECT_EQ(writer_.text(), R"(["text","00dead","",0.10,true,false,null,{},[]])");
}

TEST_F(PayloadWriterTest, BracketsInStringsAreNoNewArrays) {
    writer_.begin_array();
    writer_.string("[");
    writer_.string("");
    writer_.end_array();
    EXPECT_EQ(writer_.text(), R"(["[",""])");
}

TEST_F(PayloadWriterTest, WritesWhatIsPreparedAsIs) {
    std::string keys[2];
    append_key(keys[0], "a\n\"");
    append_key(keys[1], "");
    writer_.begin_object();
    writer_.escaped_key(keys[0]);
    writer_.begin_array();
    writer_.plain_string("text");
    writer_.plain_string("");
    writer_.end_array();
    writer_.escaped_key(keys[1]);
    writer_.plain_string("2026-05-09");
    EXPECT_EQ(writer_.last_value(), R"("2026-05-09")");
    writer_.drop_member();
    writer_.escaped_key(keys[1]);
    writer_.null();
    writer_.end_object();
    EXPECT_EQ(writer_.text(), R"({"":null,"a\n\"":["text",""]})");
}

TEST_F(PayloadWriterTest, LeavesSortedMembersWhereTheyAre) {
    writer_.begin_object();
    for (const char* name : {"a", "b"}) {
        writer_.key(name);
        writer_.begin_object();
        writer_.end_sorted_object();
    }
    writer_.end_sorted_object();
    EXPECT_EQ(writer_.text(), R"({"a":{},"b":{}})");
    EXPECT_TRUE(scratch_.empty());
}

TEST_F(PayloadWriterTest, DropsMembers) {
    writer_.begin_object();
    writer_.key("a");
    writer_.null();
    writer_.drop_member();
    writer_.key("b");
    writer_.begin_object();
    writer_.key("c");
    writer_.number("1");
    writer_.end_object();
    EXPECT_EQ(writer_.last_value(), R"({"c":1})");
    writer_.key("a");
    writer_.string("\n");
    EXPECT_EQ(writer_.last_value(), R"("\n")");
    writer_.drop_member();
    EXPECT_EQ(writer_.last_value(), R"({"c":1})");
    writer_.end_object();
    EXPECT_EQ(writer_.text(), R"({"b":{"c":1}})");
}

TEST_F(PayloadWriterTest, NoticesDuplicateNames) {
    const auto has_duplicate = [](std::string_view json) {
        return test::replay(json)->has_duplicate_key;
    };
    EXPECT_TRUE(has_duplicate(R"({"a":1,"a":1})"));
    EXPECT_TRUE(has_duplicate(R"({"b":1,"a":2,"b":3})"));
    EXPECT_TRUE(has_duplicate(R"([{"x":{"\u000a":1,"\n":2}},{}])"));
    EXPECT_FALSE(has_duplicate(R"({"a":{"a":{"a":[]}}})"));
    EXPECT_FALSE(has_duplicate(R"([{"a":1},{"a":1}])"));
}

TEST_F(PayloadWriterTest, ADroppedMemberIsNoDuplicate) {
    writer_.begin_object();
    for (const char* value : {"1", "2"}) {
        writer_.key("a");
        writer_.number(value);
        if (*value == '1') {
            writer_.drop_member();
        }
    }
    writer_.end_object();
    EXPECT_EQ(writer_.text(), R"({"a":2})");
    EXPECT_FALSE(writer_.has_duplicate_key());
}

TEST_F(PayloadWriterTest, KeepsTheOrderOfDuplicates) {
    std::string of_a;
    std::string of_b;
    writer_.begin_object();
    for (int i = 0; i < 100; ++i) {  // more than std::sort leaves to insertion, which is stable
        const std::string value = std::to_string(i);
        writer_.key(i % 2 == 0 ? "b" : "a");
        writer_.number(value);
        std::string& members = i % 2 == 0 ? of_b : of_a;
        members += i % 2 == 0 ? ",\"b\":" : ",\"a\":";
        members += value;
    }
    writer_.end_object();
    EXPECT_EQ(writer_.text(), "{" + of_a.substr(1) + of_b + "}");
}

TEST_F(PayloadWriterTest, StartsOverAfterReset) {
    writer_.begin_object();
    writer_.key("a");
    writer_.null();
    writer_.key("a");
    writer_.begin_array();
    writer_.reset();
    EXPECT_EQ(writer_.text(), "");
    EXPECT_FALSE(writer_.has_duplicate_key());
    writer_.begin_object();
    writer_.key("b");
    writer_.null();
    writer_.end_object();
    EXPECT_EQ(writer_.text(), R"({"b":null})");
}

TEST_F(PayloadWriterTest, MovesNothingThatIsInOrder) {
    const std::string large(100000, 'x');
    const auto write_row = [&](const char* first, const char* second) {
        writer_.reset();
        writer_.begin_object();
        for (const char* name : {first, second}) {
            writer_.key(name);
            writer_.string(large);
        }
        writer_.end_object();
    };
    write_row("a", "b");
    EXPECT_LT(scratch_.capacity(), 1000u);
    const std::string in_order(writer_.text());
    write_row("b", "a");
    EXPECT_GT(scratch_.capacity(), 200000u);
    EXPECT_EQ(writer_.text(), in_order);
}

TEST_F(PayloadWriterTest, AllocatesNothingForTheNextRow) {
    std::size_t out_capacity = 0;
    std::size_t scratch_capacity = 0;
    for (int row = 0; row < 3; ++row) {
        writer_.reset();
        writer_.begin_object();
        for (const char* name : {"c", "a", "b"}) {
            writer_.key(name);
            writer_.string("a value too long to be stored inside of a std::string");
        }
        writer_.end_object();
        if (row > 0) {
            EXPECT_EQ(out_.capacity(), out_capacity);
            EXPECT_EQ(scratch_.capacity(), scratch_capacity);
        }
        out_capacity = out_.capacity();
        scratch_capacity = scratch_.capacity();
    }
}

TEST_F(PayloadWriterTest, NestsWithoutLimit) {
    constexpr int kDepth = 200000;
    std::string expected;
    for (int i = 0; i < kDepth; ++i) {
        writer_.begin_object();
        writer_.key("");
        writer_.begin_array();
        expected += "{\"\":[";
    }
    for (int i = 0; i < kDepth; ++i) {
        writer_.end_array();
        writer_.end_object();
        expected += "]}";
    }
    EXPECT_EQ(writer_.text(), expected);
    EXPECT_TRUE(scratch_.empty());
}

}  // namespace
}  // namespace auditchain
