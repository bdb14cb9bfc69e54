#include "evolving_key.h"

#include <gtest/gtest.h>

#include <stdexcept>
#include <string>
#include <tuple>

#include "core_fixture.h"
#include "leaf.h"
#include "malformed.h"
#include "receipt.h"

namespace auditchain::test {
namespace {

constexpr const char* kLog = "6f1d3c7a-2b9e-4c55-9d0f-0a1b2c3d4e5f";
const std::string kSeed = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const std::string kLine = "auditchain-evolving-key 1 0 1000 60 " + kSeed;

EvolvingKey seed_key() {
    EvolvingKey key;
    parse_evolving_key(kLine, kEvolvingKeyWord, &key);
    return key;
}

std::string secret_at(std::uint32_t epoch) {
    EvolvingKey key = seed_key();
    evolve(&key, epoch);
    return to_hex({key.secret});
}

TEST(EvolvingKey, EvolvesAsOpensslDoes) {
    // key=$(openssl kdf -keylen 32 -kdfopt digest:SHA256 -kdfopt hexkey:$key
    //     -kdfopt info:'auditchain next epoch' HKDF | tr -d ':\n'), once an epoch
    EXPECT_EQ(secret_at(0), kSeed);
    EXPECT_EQ(secret_at(1), "97af01567f2f7ea71b7879ceeb54c42256a202e54cc9dbcdccd159fa62825d1f");
    EXPECT_EQ(secret_at(2), "69eb90fe39b33d4a3b426c9b59a073ea741047383830ea8da8516d3bb6782efa");
    EXPECT_EQ(secret_at(5), "ebf4fd1f93d093b53956be5a0147bf7f818699a2991b52226116df0d1765c39c");
}

TEST(EvolvingKey, TakesAnyStepsForwardAndNoneBack) {
    EvolvingKey key = seed_key();
    for (const std::uint32_t epoch : {1, 3, 3, 2, 0, 5}) {
        evolve(&key, epoch);
    }
    EXPECT_EQ(key.epoch, 5u);
    EXPECT_EQ(to_hex({key.secret}), secret_at(5));
    evolve(&key, 4);
    EXPECT_EQ(key.epoch, 5u);
}

TEST(EvolvingKey, KnowsItsTimes) {
    EvolvingKey key = seed_key();
    EXPECT_EQ(epoch_at(key, 0), 0u) << "before it began";
    EXPECT_EQ(epoch_at(key, 1000), 0u);
    EXPECT_EQ(epoch_at(key, 1059), 0u);
    EXPECT_EQ(epoch_at(key, 1060), 1u);
    EXPECT_EQ(end_of_epoch(key, 0), 1060u);
    EXPECT_EQ(end_of_epoch(key, kMaxEpoch), 1000 + (std::uint64_t{1} << 32) * 60);
    key.length = 1;
    EXPECT_EQ(epoch_at(key, UINT64_MAX), kMaxEpoch);
}

TEST(EvolvingKey, IsALine) {
    EvolvingKey key = seed_key();
    key.epoch = kMaxEpoch;
    char text[160];
    const std::size_t size = format_evolving_key(key, kEvolvingSeedWord, text);
    EXPECT_EQ(std::string(text, size),
              "auditchain-evolving-seed 1 4294967295 1000 60 " + kSeed + "\n");
    EXPECT_THROW(format_evolving_key(key, kEvolvingSeedWord, std::span(text, size - 1)),
                 std::length_error);
    EXPECT_TRUE(is_evolving_key(kLine));
    EXPECT_TRUE(is_evolving_key("auditchain-evolving-seed"));
    EXPECT_FALSE(is_evolving_key(kSeed));
    EXPECT_FALSE(is_evolving_key("auditchain-evolving-keys 1"));
    EXPECT_FALSE(is_evolving_key(""));
}

TEST(EvolvingKey, IsNothingElse) {
    for (const std::string& line :
         {std::string("auditchain-evolving-key"), "auditchain-evolving-seed 1 0 1000 60 " + kSeed,
          "auditchain-evolving-key 2 0 1000 60 " + kSeed,
          "auditchain-evolving-key 1 -1 1000 60 " + kSeed,
          "auditchain-evolving-key 1 4294967296 1000 60 " + kSeed,
          "auditchain-evolving-key 1 0 1099511627777 60 " + kSeed,
          "auditchain-evolving-key 1 0 1000 0 " + kSeed,
          "auditchain-evolving-key 1 0 1000 31622401 " + kSeed,
          "auditchain-evolving-key 1 0 1000 60  " + kSeed, kLine + " ", kLine + "0",
          kLine.substr(0, kLine.size() - 1), kLine.substr(0, kLine.size() - 1) + "g"}) {
        EvolvingKey key;
        try {
            parse_evolving_key(line, kEvolvingKeyWord, &key);
            ADD_FAILURE() << line;
        } catch (const Malformed& error) {
            EXPECT_EQ(std::string(error.what()).find("1011"), std::string::npos)
                << "must not quote a secret: " << error.what();
        }
    }
}

TEST(EvolvingKey, MakesReceiptsAndSealsAsOpensslDoes) {
    EvolvingKey key = seed_key();
    evolve(&key, 5);
    const Digest some = {bytes_from_hex<std::array<std::uint8_t, 32>>(
        "2ca9c0d269517049f005ae353d42055ffdf9c2931269739761f1971aaf4f8f18")};
    // As docs/format.md has it.
    ReceiptMaker make(key.secret, "[\"acme\"]");
    EXPECT_EQ(to_hex(make(entry_leaf(kLog, "[\"acme\"]/0", 2, some))),
              "3cdf184c5bb54adf52019aa1b21b80e8a6034054f44b49e56a94d998b8e18c8a");
    const EpochSeal seal = {5, 1, 3, some, 1778336760};
    EXPECT_EQ(to_hex(epoch_seal_mac(key.secret, kLog, seal)),
              "8e6ad67eefe3a5c4bb100ec6daa64826de3b8deae098db44a444b8a8ce32ea9c");
}

TEST(EvolvingKey, SealsEveryPartOfASeal) {
    const EvolvingKey key = seed_key();
    const EpochSeal seal = {5, 1, 3, {}, 1778336760};
    const Digest mac = epoch_seal_mac(key.secret, kLog, seal);
    EpochSeal other = seal;
    other.epoch++;
    EXPECT_NE(epoch_seal_mac(key.secret, kLog, other), mac);
    other = seal, other.incarnation++;
    EXPECT_NE(epoch_seal_mac(key.secret, kLog, other), mac);
    other = seal, other.size++;
    EXPECT_NE(epoch_seal_mac(key.secret, kLog, other), mac);
    other = seal, other.root.bytes[31] ^= 1;
    EXPECT_NE(epoch_seal_mac(key.secret, kLog, other), mac);
    other = seal, other.time--;
    EXPECT_NE(epoch_seal_mac(key.secret, kLog, other), mac);
    EXPECT_NE(epoch_seal_mac(key.secret, "7f1d3c7a-2b9e-4c55-9d0f-0a1b2c3d4e5f", seal), mac);
}

TEST(EvolvingKey, MayBeALineAmongSecrets) {
    const std::string plain(64, 'a');
    for (const auto& [text, line, count] :
         {std::tuple(kLine, 0, 0u), std::tuple(kLine + "\r\n" + plain + "\n" + plain, 0, 2u),
          std::tuple(plain + "\n" + kLine + "\n" + plain + "\n", 1, 2u),
          std::tuple(plain + "\n" + kLine, 1, 1u)}) {
        ReceiptSecrets secrets;
        parse_receipt_secrets(text, &secrets);
        EXPECT_EQ(secrets.evolving_line, line);
        EXPECT_EQ(secrets.count, count);
        EXPECT_EQ(secrets.evolving.length, 60u);
        char again[8192];
        const std::size_t size = format_receipt_secrets(secrets, again);
        ReceiptSecrets same;
        parse_receipt_secrets({again, size}, &same);
        EXPECT_EQ(same.evolving_line, line);
        EXPECT_EQ(same.count, count);
        EXPECT_EQ(same.secrets, secrets.secrets);
        EXPECT_EQ(same.evolving.secret, secrets.evolving.secret);
        EXPECT_THROW(format_receipt_secrets(secrets, std::span(again, size - 1)),
                     std::length_error);
    }
    std::string full = kLine;
    for (std::size_t i = 1; i < kMaxReceiptSecrets; ++i) {
        full += "\n" + plain;
    }
    ReceiptSecrets secrets;
    parse_receipt_secrets(full, &secrets);
    EXPECT_EQ(secrets.lines(), kMaxReceiptSecrets);
    EXPECT_THROW(parse_receipt_secrets(full + "\n" + plain, &secrets), Malformed);
    EXPECT_THROW(parse_receipt_secrets(kLine + "\n" + kLine, &secrets), Malformed);
    EXPECT_THROW(parse_receipt_secrets("auditchain-evolving-seed" + kLine.substr(23), &secrets),
                 Malformed);
}

TEST(Receipt, IsReadAsItIsWritten) {
    Receipt receipt = {true, 0x01020384, {}};
    receipt.mac.bytes.fill(7);
    std::uint8_t bytes[kEvolvingReceiptSize];
    ASSERT_EQ(write_receipt(receipt, bytes), 36u);
    const std::string text(reinterpret_cast<const char*>(bytes), sizeof bytes);
    EXPECT_EQ(text.substr(0, 4), "\x01\x02\x03\x84");
    Receipt read;
    ASSERT_TRUE(parse_receipt(text, &read));
    EXPECT_TRUE(read.evolving);
    EXPECT_EQ(read.epoch, receipt.epoch);
    EXPECT_EQ(read.mac, receipt.mac);
    receipt.evolving = false;
    ASSERT_EQ(write_receipt(receipt, bytes), 32u);
    ASSERT_TRUE(parse_receipt(text.substr(4), &read));
    EXPECT_FALSE(read.evolving);
    EXPECT_EQ(read.epoch, 0u);
    EXPECT_EQ(read.mac, receipt.mac);
    for (const std::size_t size : {0, 4, 31, 33, 35}) {
        EXPECT_FALSE(parse_receipt(text.substr(0, size), &read)) << size;
    }
    EXPECT_FALSE(parse_receipt(text + "x", &read));
}

}  // namespace
}  // namespace auditchain::test
