#include "hmac.h"

#include <openssl/core_names.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/kdf.h>
#include <openssl/params.h>

#include "openssl_error.h"

namespace auditchain {
namespace {

struct FreeMac {
    void operator()(EVP_MAC* algorithm) const noexcept { EVP_MAC_free(algorithm); }
};
using Mac = std::unique_ptr<EVP_MAC, FreeMac>;

struct FreeKdf {
    void operator()(EVP_KDF* algorithm) const noexcept { EVP_KDF_free(algorithm); }
    void operator()(EVP_KDF_CTX* context) const noexcept { EVP_KDF_CTX_free(context); }
};
using Kdf = std::unique_ptr<EVP_KDF, FreeKdf>;
using KdfContext = std::unique_ptr<EVP_KDF_CTX, FreeKdf>;

char kSha256[] = "SHA256";

OSSL_PARAM octets(const char* name, const void* data, std::size_t size) {
    return OSSL_PARAM_construct_octet_string(name, const_cast<void*>(data), size);
}

const unsigned char* data(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

}  // namespace

void HmacSha256::Free::operator()(EVP_MAC_CTX* context) const noexcept {
    EVP_MAC_CTX_free(context);
}

HmacSha256::HmacSha256(std::span<const std::uint8_t> key) {
    const Mac algorithm(EVP_MAC_fetch(nullptr, "HMAC", nullptr));
    require_openssl(algorithm != nullptr, "EVP_MAC_fetch");
    context_.reset(EVP_MAC_CTX_new(algorithm.get()));
    require_openssl(context_ != nullptr, "EVP_MAC_CTX_new");
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_MAC_PARAM_DIGEST, kSha256, 0),
        OSSL_PARAM_construct_end()};
    require_openssl(EVP_MAC_init(context_.get(), key.data(), key.size(), params), "EVP_MAC_init");
}

Digest HmacSha256::operator()(std::initializer_list<std::string_view> parts) {
    // Without a key it starts anew under the one it has.
    require_openssl(EVP_MAC_init(context_.get(), nullptr, 0, nullptr), "EVP_MAC_init");
    for (const std::string_view part : parts) {
        require_openssl(EVP_MAC_update(context_.get(), data(part), part.size()), "EVP_MAC_update");
    }
    Digest mac;
    std::size_t size = 0;
    require_openssl(EVP_MAC_final(context_.get(), mac.bytes.data(), &size, mac.bytes.size()),
                    "EVP_MAC_final");
    return mac;
}

void hkdf_sha256(std::span<const std::uint8_t> secret, std::span<const std::uint8_t> salt,
                 std::string_view info, std::span<std::uint8_t> out) {
    const Kdf algorithm(EVP_KDF_fetch(nullptr, "HKDF", nullptr));
    require_openssl(algorithm != nullptr, "EVP_KDF_fetch");
    const KdfContext context(EVP_KDF_CTX_new(algorithm.get()));
    require_openssl(context != nullptr, "EVP_KDF_CTX_new");
    const OSSL_PARAM params[] = {
        OSSL_PARAM_construct_utf8_string(OSSL_KDF_PARAM_DIGEST, kSha256, 0),
        octets(OSSL_KDF_PARAM_KEY, secret.data(), secret.size()),
        octets(OSSL_KDF_PARAM_INFO, info.data(), info.size()),
        salt.empty() ? OSSL_PARAM_construct_end()
                     : octets(OSSL_KDF_PARAM_SALT, salt.data(), salt.size()),
        OSSL_PARAM_construct_end()};
    require_openssl(EVP_KDF_derive(context.get(), out.data(), out.size(), params),
                    "EVP_KDF_derive");
}

void erase(std::span<std::uint8_t> secret) noexcept {
    OPENSSL_cleanse(secret.data(), secret.size());
}

bool equal_in_constant_time(const Digest& a, const Digest& b) noexcept {
    return CRYPTO_memcmp(a.bytes.data(), b.bytes.data(), a.bytes.size()) == 0;
}

}  // namespace auditchain
