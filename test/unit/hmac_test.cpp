#include "hmac.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include <openssl/err.h>

#include "vectors.h"

namespace auditchain {
namespace {

std::string_view text(const std::vector<std::uint8_t>& bytes) {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string hex(const std::vector<std::uint8_t>& bytes) {
    std::string text(2 * bytes.size(), '\0');
    write_hex(bytes.data(), bytes.size(), text.data());
    return text;
}

TEST(Hmac, AgreesWithPublishedVectors) {
    for (const auto& vector : test::read_vectors("hmac.jsonl")) {
        HmacSha256 hmac(test::hex_bytes(vector["key"]));
        const auto message = test::hex_bytes(vector["message"]);
        const auto mac = vector["mac"].get<std::string>();
        EXPECT_EQ(to_hex(hmac({text(message)})).substr(0, mac.size()), mac) << vector["name"];
    }
}

TEST(Hmac, KeepsItsKeyFromMessageToMessage) {
    const std::vector<std::uint8_t> key(20, 0x0b);
    HmacSha256 hmac(key);
    const Digest first = hmac({"Hi There"});
    EXPECT_NE(hmac({"Hi there"}), first);
    EXPECT_EQ(hmac({"Hi", "", " ", "There"}), first);
    EXPECT_EQ(HmacSha256(key)({"Hi There"}), first);
}

TEST(Hkdf, AgreesWithPublishedVectors) {
    for (const auto& vector : test::read_vectors("hkdf.jsonl")) {
        const auto info = test::hex_bytes(vector["info"]);
        std::vector<std::uint8_t> out(vector["output"].get<std::string>().size() / 2);
        hkdf_sha256(test::hex_bytes(vector["secret"]), test::hex_bytes(vector["salt"]), text(info),
                    out);
        EXPECT_EQ(hex(out), vector["output"].get<std::string>()) << vector["name"];
    }
}

TEST(Hkdf, RefusesMoreThanItCanDerive) {
    const std::vector<std::uint8_t> secret(32);
    std::vector<std::uint8_t> out(255 * 32 + 1);
    EXPECT_THROW(hkdf_sha256(secret, {}, "", out), std::runtime_error);
    EXPECT_EQ(ERR_peek_error(), 0u) << "the error queue belongs to the host program";
}

TEST(Erase, LeavesNothing) {
    std::vector<std::uint8_t> secret(32, 0xa5);
    erase(secret);
    EXPECT_EQ(secret, std::vector<std::uint8_t>(32));
}

}  // namespace
}  // namespace auditchain
