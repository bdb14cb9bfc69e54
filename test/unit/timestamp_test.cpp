#include "timestamp.h"

#include <gtest/gtest.h>
#include <openssl/err.h>

#include <string>

#include "malformed.h"
#include "vectors.h"

namespace auditchain {
namespace {

std::string bytes_of(const nlohmann::json& hex) {
    const auto bytes = test::hex_bytes(hex.get<std::string>());
    return {bytes.begin(), bytes.end()};
}

std::string fault_of(std::string_view der) {
    try {
        parse_timestamp(der);
    } catch (const Malformed& error) {
        return error.what();
    }
    return "";
}

TEST(Timestamp, AgreesWithVectors) {
    for (const auto& vector : test::read_vectors("timestamps.jsonl")) {
        SCOPED_TRACE(vector["what"]);
        const std::string der = bytes_of(vector["der"]);
        if (vector.contains("fault")) {
            EXPECT_EQ(fault_of(der), vector["fault"].get<std::string>());
            continue;
        }
        const Timestamp timestamp = parse_timestamp(der);
        EXPECT_EQ(timestamp.token, bytes_of(vector["token"]));
        EXPECT_EQ(to_hex(timestamp.imprint), vector["imprint"].get<std::string>());
        EXPECT_EQ(timestamp.time, vector["time"].get<std::int64_t>());
        EXPECT_EQ(timestamp.authority, vector["authority"].get<std::string>());
        if (vector.contains("request")) {
            const std::uint64_t nonce =
                std::stoull(vector["nonce"].get<std::string>(), nullptr, 16);
            EXPECT_EQ(timestamp_request(timestamp.imprint, nonce), bytes_of(vector["request"]))
                << "is what openssl ts -query -cert writes";
        }
    }
}

TEST(Timestamp, IsNothingElse) {
    const std::string unreadable =
        "it is neither a time-stamp response nor a time-stamp token in DER";
    const auto vectors = test::read_vectors("timestamps.jsonl");
    const std::string response = bytes_of(vectors[0]["der"]);
    const std::string token = bytes_of(vectors[0]["token"]);
    EXPECT_EQ(fault_of(""), unreadable);
    EXPECT_EQ(fault_of("no time stamp"), unreadable);
    EXPECT_EQ(fault_of(bytes_of(vectors[0]["request"])), unreadable);
    for (const std::string& whole : {response, token}) {
        EXPECT_EQ(fault_of(whole + '\0'), unreadable);
        EXPECT_EQ(fault_of(whole + whole), unreadable);
        for (std::size_t size = 0; size < whole.size(); ++size) {
            ASSERT_EQ(fault_of(std::string_view(whole).substr(0, size)), unreadable) << size;
        }
    }
    // Granted, and no token: the status alone.
    EXPECT_EQ(fault_of(std::string("\x30\x05\x30\x03\x02\x01\x00", 7)), unreadable);
    EXPECT_EQ(fault_of(std::string("\x30\x05\x30\x03\x02\x01\x09", 7)),
              "the authority did not grant it: its status is unknown");
    EXPECT_EQ(fault_of(std::string(kMaxTimestampSize + 1, '0')), "it is longer than 1 MiB");
}

TEST(Timestamp, IsReadOrRefusedWhicheverBitIsFlipped) {
    std::string der = bytes_of(test::read_vectors("timestamps.jsonl")[0]["der"]);
    for (std::size_t i = 0; i < der.size(); ++i) {
        for (int bit = 0; bit < 8; ++bit) {
            der[i] = static_cast<char>(der[i] ^ 1 << bit);
            try {
                EXPECT_TRUE(der.ends_with(parse_timestamp(der).token));
            } catch (const Malformed&) {
            }
            der[i] = static_cast<char>(der[i] ^ 1 << bit);
        }
    }
}

TEST(Timestamp, LeavesTheErrorsOfOthersAlone) {
    ERR_clear_error();
    ERR_raise(ERR_LIB_USER, 7);
    fault_of("no time stamp");
    parse_timestamp(bytes_of(test::read_vectors("timestamps.jsonl")[2]["der"]));
    EXPECT_EQ(ERR_GET_REASON(ERR_get_error()), 7);
    EXPECT_EQ(ERR_get_error(), 0u);
}

}  // namespace
}  // namespace auditchain
