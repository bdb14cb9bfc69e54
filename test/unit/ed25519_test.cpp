#include "ed25519.h"

#include <gtest/gtest.h>

#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "core_fixture.h"
#include "malformed.h"
#include "vectors.h"

namespace auditchain {
namespace {

std::string pem_of(EVP_PKEY* key, const EVP_CIPHER* cipher = nullptr) {
    BIO* const bio = BIO_new(BIO_s_mem());
    char passphrase[] = "secret";
    PEM_write_bio_PKCS8PrivateKey(bio, key, cipher, passphrase, 6, nullptr, nullptr);
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio, &text);
    std::string pem(text, static_cast<std::size_t>(size));
    BIO_free(bio);
    EVP_PKEY_free(key);
    return pem;
}

std::string complaint(std::string_view pem) {
    try {
        Ed25519PrivateKey::from_pem(pem);
    } catch (const Malformed& malformed) {
        EXPECT_EQ(ERR_peek_error(), 0u) << "the error queue belongs to the host program";
        return malformed.what();
    }
    return "none";
}

TEST(Ed25519, AgreesWithRfc8032) {
    for (const auto& vector : test::read_vectors("ed25519.jsonl")) {
        const auto key =
            Ed25519PrivateKey::from_pem(test::pem_from_seed(vector["seed"].get<std::string>()));
        const auto public_key =
            test::bytes_from_hex<Ed25519PublicKey>(vector["public_key"].get<std::string>());
        const auto signature =
            test::bytes_from_hex<Ed25519Signature>(vector["signature"].get<std::string>());
        const std::string message = test::unhex(vector["message"].get<std::string>());
        EXPECT_EQ(key.public_key(), public_key);
        EXPECT_EQ(key.sign(message), signature);
        EXPECT_TRUE(ed25519_verify(public_key, message, signature));
    }
}

TEST(Ed25519, RefusesWhatWasNotSigned) {
    const auto key = test::test_key('1');
    const auto public_key = key.public_key();
    const std::string message = "message";
    const auto signature = key.sign(message);
    EXPECT_TRUE(ed25519_verify(public_key, message, signature));
    EXPECT_FALSE(ed25519_verify(test::test_key('2').public_key(), message, signature));
    for (const char* other : {"", "messagE", "messag", "message\n"}) {
        EXPECT_FALSE(ed25519_verify(public_key, other, signature));
    }
    for (std::size_t bit = 0; bit < 8 * signature.size(); ++bit) {
        auto flipped = signature;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(ed25519_verify(public_key, message, flipped)) << bit;
    }
    for (std::size_t bit = 0; bit < 8 * public_key.size(); ++bit) {
        auto flipped = public_key;
        flipped[bit / 8] ^= static_cast<std::uint8_t>(1 << bit % 8);
        EXPECT_FALSE(ed25519_verify(flipped, message, signature)) << bit;
    }
    EXPECT_EQ(ERR_peek_error(), 0u) << "the error queue belongs to the host program";
}

TEST(Ed25519, RefusesASignatureThatTheGroupOrderWasAddedTo) {
    // RFC 8032 section 5.1.7: S must be below the order L of the group, else a signature has twins.
    const auto order =
        test::unhex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
    const auto key = test::test_key('1');
    auto signature = key.sign("message");
    unsigned carry = 0;
    for (std::size_t i = 0; i < order.size(); ++i) {
        carry += signature[32 + i] + static_cast<unsigned char>(order[i]);
        signature[32 + i] = static_cast<std::uint8_t>(carry);
        carry >>= 8;
    }
    EXPECT_FALSE(ed25519_verify(key.public_key(), "message", signature));
}

TEST(Ed25519, MakesKeysThatItReads) {
    const auto key = Ed25519PrivateKey::generate();
    EXPECT_EQ(Ed25519PrivateKey::from_pem(key.to_pem()).public_key(), key.public_key());
    EXPECT_NE(Ed25519PrivateKey::generate().public_key(), key.public_key());
    const std::string seed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
    EXPECT_EQ(Ed25519PrivateKey::from_pem(test::pem_from_seed(seed)).to_pem(),
              test::pem_from_seed(seed));
}

TEST(Ed25519, SaysWhatIsWrongWithAKey) {
    const std::string none = "no private key in PEM (PKCS#8) was found";
    const std::string good = test::pem_from_seed(std::string(64, '7'));
    EXPECT_EQ(complaint(good), "none");
    EXPECT_EQ(complaint(""), none);
    EXPECT_EQ(complaint("secret"), none);
    EXPECT_EQ(complaint(good.substr(0, good.size() / 2)), none);
    EXPECT_EQ(complaint(test::pem_from_seed(std::string(62, '7'))), none);
    std::string public_key = good;
    public_key.replace(public_key.find("PRIVATE"), 7, "PUBLIC");
    EXPECT_EQ(complaint(public_key), none);
    EXPECT_EQ(complaint(pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "X25519"))),
              "the private key is not of type Ed25519");
    EXPECT_EQ(complaint(pem_of(EVP_EC_gen("P-256"))), "the private key is not of type Ed25519");
    EXPECT_EQ(complaint(pem_of(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"), EVP_aes_256_cbc())),
              "the key is encrypted; a key without a passphrase is needed");
}

}  // namespace
}  // namespace auditchain
