#include <string>

#include <gtest/gtest.h>

#include "bundle_cipher.h"
#include "core_fixture.h"
#include "malformed.h"

namespace auditchain::test {
namespace {

const auto kKey = bytes_from_hex<ReceiptSecret>(
    "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");

// RFC 3394 section 4.6: 256 bits of key data with a 256-bit key,
// 00112233445566778899aabbccddeeff000102030405060708090a0b0c0d0e0f.
const auto kWrapped = bytes_from_hex<WrappedKey>(
    "28c9f404c4b810f4cbccb35cfb87f8263f5786e2d80ed326cbc7f0e71a99f43bfb988b9b7a02dd21");

constexpr char kName[] = "entries/000001.jsonl.zst.enc";

TEST(BundleCipher, WrapsAsRfc3394) {
    EXPECT_EQ(BundleCipher(kKey, kWrapped).wrap(kKey), kWrapped);
}

/// The expected bytes are those of another program: AESGCM of Python's cryptography.
TEST(BundleCipher, EncryptsAsOthersDo) {
    const BundleCipher cipher(kKey, kWrapped);
    const std::string file = unhex("e4a270600ab3ac087e5cd389f82593122486c6d10e5764ced04b");
    EXPECT_EQ(cipher.encrypt(1, kName, "auditchain"), file);
    EXPECT_EQ(cipher.decrypt(1, kName, file), "auditchain");
}

TEST(BundleCipher, OpensNothingElse) {
    const BundleCipher cipher(kKey, kWrapped);
    const std::string file = cipher.encrypt(1, kName, "auditchain");
    EXPECT_THROW(cipher.decrypt(2, kName, file), Malformed);
    EXPECT_THROW(cipher.decrypt(1, "entries/000002.jsonl.zst.enc", file), Malformed);
    EXPECT_THROW(cipher.decrypt(1, kName, file.substr(1)), Malformed);
    EXPECT_THROW(cipher.decrypt(1, kName, file.substr(0, 15)), Malformed);
    EXPECT_THROW(BundleCipher().decrypt(1, kName, file), Malformed);
    for (std::size_t i = 0; i < file.size(); ++i) {
        std::string changed = file;
        changed[i] = static_cast<char>(changed[i] ^ 0x40);
        EXPECT_THROW(cipher.decrypt(1, kName, changed), Malformed) << i;
    }
    for (std::size_t i = 0; i < kWrapped.size(); ++i) {
        WrappedKey changed = kWrapped;
        changed[i] ^= 1;
        EXPECT_THROW(BundleCipher(kKey, changed), Malformed) << i;
    }
    ReceiptSecret other = kKey;
    other[0] ^= 1;
    EXPECT_THROW(BundleCipher(other, kWrapped), Malformed);
}

TEST(BundleCipher, HasAnIdOfEachKey) {
    Sha256 sha256;
    EXPECT_EQ(archive_key_id(sha256, kKey),
              to_hex(sha256({"auditchain archive key", unhex("000102030405060708090a0b0c0d0e0f"
                                                             "101112131415161718191a1b1c1d1e1f")}))
                  .substr(0, 8));
}

}  // namespace
}  // namespace auditchain::test
