#include "ed25519.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <string>

#include "vectors.h"

namespace auditchain {
namespace {

Ed25519Seed seed_of(const std::string& hex) {
    const auto bytes = test::hex_bytes(hex);
    Ed25519Seed seed{};
    std::copy(bytes.begin(), bytes.end(), seed.begin());
    return seed;
}

// RFC 8032 section 7.1, test 1.
constexpr const char* kSeed = "9d61b19deffd5a60ba844af492ec2cc44449c5697b326919703bac031cae7f60";
constexpr const char* kPublic = "d75a980182b10ab7d54bfed3c964073a0ee172f3daa62325af021a68f707511a";

TEST(Ed25519Seed, GivesThePublicKeyOfRfc8032) {
    const Ed25519PublicKey key = Ed25519PrivateKey::from_seed(seed_of(kSeed)).public_key();
    EXPECT_EQ(std::vector<std::uint8_t>(key.begin(), key.end()), test::hex_bytes(kPublic));
}

TEST(Ed25519Seed, SurvivesPem) {
    const std::string pem = Ed25519PrivateKey::from_seed(seed_of(kSeed)).to_pem();
    Ed25519Seed seed{};
    Ed25519PrivateKey::from_pem(pem).seed(&seed);
    EXPECT_EQ(seed, seed_of(kSeed));
}

}  // namespace
}  // namespace auditchain
