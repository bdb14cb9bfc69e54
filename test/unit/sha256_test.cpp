#include "sha256.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>

#include "vectors.h"

namespace auditchain {
namespace {

TEST(Sha256, AgreesWithPublishedVectors) {
    Sha256 sha256;
    for (const auto& vector : test::read_vectors("sha256.jsonl")) {
        const auto message = vector["message"].get<std::string>();
        std::string input;
        for (int i = 0; i < vector["repeat"].get<int>(); ++i) {
            input += message;
        }
        EXPECT_EQ(to_hex(sha256({input})), vector["sha256"].get<std::string>()) << vector["name"];
    }
}

TEST(Sha256, HashesPartsAsOneString) {
    Sha256 sha256;
    EXPECT_EQ(sha256({"a", "", "bc"}), sha256({"abc"}));
    EXPECT_EQ(sha256({}), sha256({""}));
    EXPECT_EQ(sha256({std::string_view()}), sha256({""}));
}

TEST(Sha256, SaysWhyItIsNotAvailable) {
    ASSERT_EQ(EVP_set_default_properties(nullptr, "provider=absent"), 1);
    std::string reason;
    try {
        Sha256 sha256;
    } catch (const std::runtime_error& error) {
        reason = error.what();
    }
    ASSERT_EQ(EVP_set_default_properties(nullptr, ""), 1);
    EXPECT_NE(reason.find("EVP_MD_fetch failed: error:"), std::string::npos) << reason;
    EXPECT_EQ(ERR_peek_error(), 0u) << "the error queue belongs to the host program";
}

}  // namespace
}  // namespace auditchain
