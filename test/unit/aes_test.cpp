#include "aes.h"

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

#include "core_fixture.h"

namespace auditchain::test {
namespace {

struct Vector {
    const char* key;
    const char* nonce;
    const char* text;
    const char* associated;
    const char* sealed;  // and the tag
};

// "The Galois/Counter Mode of Operation (GCM)", McGrew and Viega, as submitted to NIST: test cases
// 13 to 16, those of AES-256 with nonces of 96 bits.
constexpr Vector kVectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "00000000000000000000000000000000", "",
     "cea7403d4d606b6e074ec5d3baf39d18d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad"
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662"
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

std::uint8_t* bytes(std::string& text) {
    return reinterpret_cast<std::uint8_t*>(text.data());
}

TEST(Aes, GcmIsAsPublished) {
    for (const Vector& vector : kVectors) {
        const auto key = bytes_from_hex<AesKey>(vector.key);
        const auto nonce = bytes_from_hex<GcmNonce>(vector.nonce);
        const std::string text = unhex(vector.text);
        const std::string associated = unhex(vector.associated);
        std::string sealed(text.size() + kGcmTagSize, '\0');
        gcm_encrypt(key, nonce, associated, text, bytes(sealed));
        EXPECT_EQ(sealed, unhex(vector.sealed));
        std::string opened(text.size(), '\0');
        EXPECT_TRUE(gcm_decrypt(key, nonce, associated, sealed, bytes(opened)));
        EXPECT_EQ(opened, text);
    }
}

TEST(Aes, GcmOpensNothingElse) {
    const Vector& vector = kVectors[3];
    const auto key = bytes_from_hex<AesKey>(vector.key);
    const auto nonce = bytes_from_hex<GcmNonce>(vector.nonce);
    const std::string associated = unhex(vector.associated);
    const std::string sealed = unhex(vector.sealed);
    std::string out(sealed.size(), '\0');
    for (std::size_t i = 0; i < sealed.size(); ++i) {
        std::string changed = sealed;
        changed[i] = static_cast<char>(changed[i] ^ 1);
        EXPECT_FALSE(gcm_decrypt(key, nonce, associated, changed, bytes(out))) << i;
    }
    for (std::size_t size = 0; size < sealed.size(); ++size) {
        EXPECT_FALSE(gcm_decrypt(key, nonce, associated, sealed.substr(0, size), bytes(out)));
    }
    EXPECT_FALSE(gcm_decrypt(key, nonce, "", sealed, bytes(out)));
    AesKey other = key;
    other[31] ^= 1;
    EXPECT_FALSE(gcm_decrypt(other, nonce, associated, sealed, bytes(out)));
}

// RFC 3394 section 4.6: 256 bits of key data with a 256-bit key.
TEST(Aes, WrapsAsRfc3394) {
    const auto by =
        bytes_from_hex<AesKey>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
    const auto key =
        bytes_from_hex<AesKey>("00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f");
    const auto wrapped = bytes_from_hex<WrappedKey>(
        "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");
    EXPECT_EQ(wrap_key(by, key), wrapped);
    AesKey unwrapped{};
    EXPECT_TRUE(unwrap_key(by, wrapped, &unwrapped));
    EXPECT_EQ(unwrapped, key);
    for (std::size_t i = 0; i < wrapped.size(); ++i) {
        WrappedKey changed = wrapped;
        changed[i] ^= 1;
        EXPECT_FALSE(unwrap_key(by, changed, &unwrapped)) << i;
    }
    EXPECT_FALSE(unwrap_key(key, wrapped, &unwrapped));
}

TEST(Aes, KeysAndNoncesDiffer) {
    AesKey keys[2];
    GcmNonce nonces[2];
    for (int i = 0; i < 2; ++i) {
        make_random_key(&keys[i]);
        make_random_nonce(&nonces[i]);
    }
    EXPECT_NE(keys[0], keys[1]);
    EXPECT_NE(nonces[0], nonces[1]);
}

}  // namespace
}  // namespace auditchain::test
