#include "personal_field.h"

#include <string>

#include <gtest/gtest.h>

#include "core_fixture.h"
#include "malformed.h"

namespace auditchain::test {
namespace {

const auto kKey =
    bytes_from_hex<AesKey>("000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f");
constexpr FieldPlace kPlace = {"5b0d3f0e-6a58-4f4b-9d7e-0c2b7b6f1a11", "note", "user-17", "text"};

TEST(PersonalField, OpensWhatItSealed) {
    for (const std::string& value : {std::string(), std::string("Zoë"), std::string(100000, 'x')}) {
        const std::string text = seal_field(kKey, kPlace, value);
        EXPECT_EQ(text.size(), sealed_field_size(value.size()));
        EXPECT_TRUE(text.starts_with("auditchain:v1:5b0d3f0e-6a58-4f4b-9d7e-0c2b7b6f1a11:"));
        EXPECT_TRUE(is_sealed_field(text));
        EXPECT_EQ(key_id_of_field(text), kPlace.key_id);
        EXPECT_EQ(open_field(kKey, kPlace, text), value);
        EXPECT_NE(seal_field(kKey, kPlace, value), text);
    }
}

/// Made by another program: AESGCM of Python's cryptography, with the nonce 000102…0b and the
/// associated data "auditchain personal field v1", key id, "note", "user-17" and "text" with NUL
/// between.
TEST(PersonalField, OpensWhatOthersSealed) {
    EXPECT_EQ(open_field(kKey, kPlace,
                         "auditchain:v1:5b0d3f0e-6a58-4f4b-9d7e-0c2b7b6f1a11:"
                         "AAECAwQFBgcICQoLHW0VsOnFsHTiLLe+mPnUiGMzI3YGyXMWBjwMbg=="),
              "Zoë, room 5");
}

TEST(PersonalField, OpensNothingElse) {
    const std::string text = seal_field(kKey, kPlace, "a value");
    for (const FieldPlace& place : {
             FieldPlace{kPlace.key_id, "other", kPlace.subject, kPlace.type},
             FieldPlace{kPlace.key_id, kPlace.member, "user-18", kPlace.type},
             FieldPlace{kPlace.key_id, kPlace.member, kPlace.subject, "jsonb"},
             FieldPlace{kPlace.key_id, "", "noteuser-17", kPlace.type},
             FieldPlace{"5b0d3f0e-6a58-4f4b-9d7e-0c2b7b6f1a12", kPlace.member, kPlace.subject,
                        kPlace.type},
         }) {
        EXPECT_THROW(open_field(kKey, place, text), Malformed);
    }
    AesKey other = kKey;
    other[0] ^= 1;
    EXPECT_THROW(open_field(other, kPlace, text), Malformed);
    for (std::size_t i = 0; i < text.size(); ++i) {
        std::string changed = text;
        changed[i] = changed[i] == 'A' ? 'B' : 'A';
        EXPECT_THROW(open_field(kKey, kPlace, changed), Malformed) << i;
        EXPECT_THROW(open_field(kKey, kPlace, text.substr(0, i)), Malformed) << i;
    }
    EXPECT_THROW(open_field(kKey, kPlace, text + "="), Malformed);
    EXPECT_FALSE(is_sealed_field("auditchain:v2:"));
    EXPECT_THROW(key_id_of_field("auditchain:v1:"), Malformed);
    EXPECT_THROW(key_id_of_field("plain"), Malformed);
}

TEST(PersonalField, MasterKeysHaveIds) {
    Sha256 sha256;
    EXPECT_EQ(personal_key_id(sha256, kKey).size(), 8U);
    EXPECT_NE(personal_key_id(sha256, kKey), personal_key_id(sha256, AesKey{}));
}

}  // namespace
}  // namespace auditchain::test
