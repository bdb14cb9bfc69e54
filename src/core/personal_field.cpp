#include "personal_field.h"

#include <algorithm>

#include "base64.h"
#include "malformed.h"

namespace auditchain {
namespace {

constexpr std::string_view kPrefix = "auditchain:v1:";
constexpr std::size_t kIdSize = 36;
constexpr std::size_t kHeadSize = kPrefix.size() + kIdSize + 1;
constexpr std::size_t kNonceSize = sizeof(GcmNonce);

/// No part can hold a NUL, so no two places have the same text.
std::string associated_text(const FieldPlace& place) {
    std::string text("auditchain personal field v1");
    for (const std::string_view part : {place.key_id, place.member, place.subject, place.type}) {
        text.append(1, '\0').append(part);
    }
    return text;
}

}  // namespace

std::size_t sealed_field_size(std::size_t size) noexcept {
    return kHeadSize + (kNonceSize + size + kGcmTagSize + 2) / 3 * 4;
}

std::string seal_field(const AesKey& key, const FieldPlace& place, std::string_view value) {
    GcmNonce nonce;
    make_random_nonce(&nonce);
    std::string sealed(kNonceSize + value.size() + kGcmTagSize, '\0');
    std::copy(nonce.begin(), nonce.end(), sealed.begin());
    gcm_encrypt(key, nonce, associated_text(place), value,
                reinterpret_cast<std::uint8_t*>(sealed.data()) + kNonceSize);
    std::string text;
    text.reserve(sealed_field_size(value.size()));
    return text.append(kPrefix).append(place.key_id).append(1, ':').append(to_base64(sealed));
}

bool is_sealed_field(std::string_view text) noexcept {
    return text.starts_with(kPrefix);
}

std::string_view key_id_of_field(std::string_view text) {
    if (!is_sealed_field(text) || text.size() < kHeadSize || text[kHeadSize - 1] != ':') {
        throw Malformed("it names no key");
    }
    const std::string_view id = text.substr(kPrefix.size(), kIdSize);
    for (std::size_t i = 0; i < id.size(); ++i) {
        const bool dash = i == 8 || i == 13 || i == 18 || i == 23;
        const bool digit = (id[i] >= '0' && id[i] <= '9') || (id[i] >= 'a' && id[i] <= 'f');
        if (dash ? id[i] != '-' : !digit) {
            throw Malformed("it names no key");
        }
    }
    return id;
}

std::string open_field(const AesKey& key, const FieldPlace& place, std::string_view text) {
    if (key_id_of_field(text) != place.key_id) {
        throw Malformed("it is of another key");
    }
    const auto sealed = from_base64(text.substr(kHeadSize));
    if (!sealed || sealed->size() < kNonceSize + kGcmTagSize) {
        throw Malformed("it is no encrypted value");
    }
    GcmNonce nonce;
    std::copy_n(sealed->begin(), kNonceSize, nonce.begin());
    std::string value(sealed->size() - kNonceSize - kGcmTagSize, '\0');
    if (!gcm_decrypt(key, nonce, associated_text(place),
                     std::string_view(*sealed).substr(kNonceSize),
                     reinterpret_cast<std::uint8_t*>(value.data()))) {
        throw Malformed("it was changed, or belongs to another field, type or subject");
    }
    return value;
}

std::string personal_key_id(Sha256& sha256, const AesKey& key) {
    const Digest digest = sha256(
        {"auditchain personal key", {reinterpret_cast<const char*>(key.data()), key.size()}});
    return to_hex(digest).substr(0, 8);
}

}  // namespace auditchain
