#include "receipt.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "leaf.h"
#include "malformed.h"
#include "vectors.h"

namespace auditchain {
namespace {

ReceiptSecret secret_of(const std::string& hex) {
    ReceiptSecrets secrets;
    parse_receipt_secrets(hex, &secrets);
    return secrets.secrets[0];
}

Digest digest_of(const std::string& hex) {
    const auto bytes = test::hex_bytes(hex);
    Digest digest;
    std::copy(bytes.begin(), bytes.end(), digest.bytes.begin());
    return digest;
}

const std::string kA(64, 'a');
const std::string kB = std::string(32, 'b') + std::string(32, 'B');

TEST(Receipt, AgreesWithVectors) {
    for (const auto& vector : test::read_vectors("receipts.jsonl")) {
        const auto key = vector["key"].get<std::string>();
        const std::string leaf =
            entry_leaf(vector["log_id"].get<std::string>(),
                       key + "/" + std::to_string(vector["lane"].get<int>()),
                       vector["position"].get<std::int64_t>(), digest_of(vector["checksum"]));
        ReceiptMaker make(secret_of(vector["secret"]), key);
        EXPECT_EQ(to_hex(make(leaf)), vector["receipt"].get<std::string>());
        EXPECT_EQ(to_hex(HmacSha256(test::hex_bytes(vector["receipt_key"]))({leaf})),
                  vector["receipt"].get<std::string>())
            << "with the key that a tenant has";
    }
}

TEST(Receipt, DependsOnSecretAndKey) {
    const std::string leaf = entry_leaf("6f1d3c7a-2b9e-4c55-9d0f-0a1b2c3d4e5f", "[]/0", 1, {});
    const Digest receipt = ReceiptMaker(secret_of(kA), "[]")(leaf);
    EXPECT_NE(ReceiptMaker(secret_of(kB), "[]")(leaf), receipt);
    EXPECT_NE(ReceiptMaker(secret_of(kA), "[1]")(leaf), receipt);
    EXPECT_EQ(ReceiptMaker(secret_of(kA), "[]")(leaf), receipt);
}

TEST(ReceiptSecrets, AreLinesNewestFirst) {
    for (const std::string& text : {kA + "\n" + kB + "\n", kA + "\r\n" + kB, kA + "\n" + kB}) {
        ReceiptSecrets secrets;
        parse_receipt_secrets(text, &secrets);
        ASSERT_EQ(secrets.count, 2u);
        EXPECT_EQ(secrets.secrets[0][31], 0xaa);
        EXPECT_EQ(secrets.secrets[1][31], 0xbb);
    }
}

TEST(ReceiptSecrets, AreNothingElse) {
    std::string many;
    for (std::size_t i = 0; i < kMaxReceiptSecrets; ++i) {
        many += kA + "\n";
    }
    ReceiptSecrets secrets;
    parse_receipt_secrets(many, &secrets);
    EXPECT_EQ(secrets.count, kMaxReceiptSecrets);
    for (const std::string& text :
         {std::string(), std::string("\n"), kA.substr(1), kA + "a", kA.substr(1) + "g", " " + kA,
          kA + " ", kA + "\n\n", kA + "\n# old\n", kA + kA, many + kA,
          kA.substr(1) + std::string(1, '\0')}) {
        ReceiptSecrets refused;
        try {
            parse_receipt_secrets(text, &refused);
            ADD_FAILURE() << text;
        } catch (const Malformed& error) {
            EXPECT_EQ(std::string(error.what()).find("aaa"), std::string::npos)
                << "must not quote a secret: " << error.what();
        }
    }
}

TEST(ReceiptSecrets, HaveIds) {
    Sha256 sha256;
    // printf 'auditchain receipt key' and 32 bytes 0xaa | sha256sum
    EXPECT_EQ(receipt_key_id(sha256, secret_of(kA)), "5773705b");
}

}  // namespace
}  // namespace auditchain
