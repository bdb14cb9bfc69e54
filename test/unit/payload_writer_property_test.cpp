// Random documents: the writer must agree with the reference and with a JSON parser.
#include "payload_writer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <numeric>
#include <string>

#include <nlohmann/json.hpp>

#include "json_replay.h"
#include "random.h"
#include "reference_json.h"

namespace auditchain {
namespace {

using test::Node;

/// Return the tree with the members of every object in another order.
Node shuffled(const Node& node, std::mt19937& engine) {
    std::vector<std::size_t> order(node.values.size());
    std::iota(order.begin(), order.end(), 0);
    if (node.kind == Node::Kind::object) {
        std::shuffle(order.begin(), order.end(), engine);
    }
    Node result{.kind = node.kind, .text = node.text};
    for (const std::size_t i : order) {
        result.values.push_back(shuffled(node.values[i], engine));
        if (node.kind == Node::Kind::object) {
            result.names.push_back(node.names[i]);
        }
    }
    return result;
}

TEST(PayloadWriterProperty, AgreesWithReference) {
    test::Random random;
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    for (int i = 0; i < 20000; ++i) {
        const Node node = test::make_node(random, 5);
        writer.reset();
        test::write(writer, node, random);
        ASSERT_EQ(writer.text(), test::canonical(node));
        ASSERT_EQ(writer.has_duplicate_key(), node.has_duplicate_key()) << writer.text();
        ASSERT_TRUE(scratch.empty());
    }
}

TEST(PayloadWriterProperty, OrderOfMembersDoesNotMatter) {
    test::Random random;
    std::string out;
    std::string scratch;
    PayloadWriter writer(out, scratch);
    for (int i = 0; i < 20000; ++i) {
        const Node node = test::make_node(random, 5);
        if (node.has_duplicate_key()) {
            continue;
        }
        writer.reset();
        test::write(writer, shuffled(node, random.engine()), random);
        ASSERT_EQ(writer.text(), test::canonical(node));
    }
}

TEST(PayloadWriterProperty, ParsesBackEqual) {
    const auto make_json = [](auto& self, test::Random& random, int depth) -> nlohmann::json {
        switch (random(depth > 0 ? 7 : 5)) {
            case 0:
                return nullptr;
            case 1:
                return random(2) == 0;
            case 2:
                return static_cast<std::int64_t>(random(1000000)) - 500000;
            case 3:
                return static_cast<double>(random(1000000)) / 64;
            case 4:
                return test::make_string(random);
            case 5: {
                auto array = nlohmann::json::array();
                for (std::size_t i = random(6); i > 0; --i) {
                    array.push_back(self(self, random, depth - 1));
                }
                return array;
            }
            default: {
                auto object = nlohmann::json::object();
                for (std::size_t i = random(6); i > 0; --i) {
                    object[test::make_string(random)] = self(self, random, depth - 1);
                }
                return object;
            }
        }
    };
    test::Random random;
    for (int i = 0; i < 20000; ++i) {
        const nlohmann::json document = make_json(make_json, random, 5);
        const auto replayed = test::replay(document.dump());
        ASSERT_TRUE(replayed);
        ASSERT_EQ(nlohmann::json::parse(replayed->text), document);
        ASSERT_FALSE(replayed->has_duplicate_key);
        ASSERT_EQ(test::replay(replayed->text)->text, replayed->text);
    }
}

}  // namespace
}  // namespace auditchain
