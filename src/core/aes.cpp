#include "aes.h"

#include <algorithm>
#include <climits>
#include <memory>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "hmac.h"
#include "openssl_error.h"

namespace auditchain {
namespace {

struct FreeContext {
    void operator()(EVP_CIPHER_CTX* context) const noexcept { EVP_CIPHER_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_CIPHER_CTX, FreeContext>;

Context make_context() {
    Context context(EVP_CIPHER_CTX_new());
    require_openssl(context != nullptr, "EVP_CIPHER_CTX_new");
    return context;
}

constexpr int kDecrypt = 0;
constexpr int kEncrypt = 1;

const std::uint8_t* bytes(std::string_view text) noexcept {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

int checked_size(std::string_view text) {
    if (text.size() > INT_MAX - kGcmTagSize) {
        throw std::length_error("a text is too long to be encrypted");
    }
    return static_cast<int>(text.size());
}

/// Run the texts through a cipher that begins here; its end is the caller's.
Context run_gcm(const AesKey& key, const GcmNonce& nonce, std::string_view associated,
                std::string_view in, std::uint8_t* out, int direction) {
    Context context = make_context();
    require_openssl(EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(),
                                      nonce.data(), direction),
                    "EVP_CipherInit_ex");
    int done = 0;
    require_openssl(EVP_CipherUpdate(context.get(), nullptr, &done, bytes(associated),
                                     checked_size(associated)),
                    "EVP_CipherUpdate");
    require_openssl(EVP_CipherUpdate(context.get(), out, &done, bytes(in), checked_size(in)),
                    "EVP_CipherUpdate");
    return context;
}

/// AES key wrap: returns whether it could be done.
bool run_wrap(const AesKey& by, std::span<const std::uint8_t> in, std::span<std::uint8_t> out,
              int direction) {
    const Context context = make_context();
    EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    require_openssl(EVP_CipherInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, by.data(),
                                      nullptr, direction),
                    "EVP_CipherInit_ex");
    std::array<std::uint8_t, sizeof(WrappedKey) + 8> result{};
    int done = 0;
    const bool ok = EVP_CipherUpdate(context.get(), result.data(), &done, in.data(),
                                     static_cast<int>(in.size())) == 1 &&
                    static_cast<std::size_t>(done) == out.size();
    if (ok) {
        std::copy_n(result.begin(), out.size(), out.begin());
    }
    erase(result);
    ERR_clear_error();
    return ok;
}

}  // namespace

void make_random_key(AesKey* out) {
    require_openssl(RAND_priv_bytes(out->data(), static_cast<int>(out->size())), "RAND_priv_bytes");
}

void make_random_nonce(GcmNonce* out) {
    require_openssl(RAND_bytes(out->data(), static_cast<int>(out->size())), "RAND_bytes");
}

void gcm_encrypt(const AesKey& key, const GcmNonce& nonce, std::string_view associated,
                 std::string_view text, std::uint8_t* out) {
    const Context context = run_gcm(key, nonce, associated, text, out, kEncrypt);
    std::uint8_t* const tag = out + text.size();
    int done = 0;
    require_openssl(EVP_CipherFinal_ex(context.get(), tag, &done), "EVP_CipherFinal_ex");
    require_openssl(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kGcmTagSize, tag),
                    "EVP_CIPHER_CTX_ctrl");
}

bool gcm_decrypt(const AesKey& key, const GcmNonce& nonce, std::string_view associated,
                 std::string_view sealed, std::uint8_t* out) {
    if (sealed.size() < kGcmTagSize) {
        return false;
    }
    const std::string_view in = sealed.substr(0, sealed.size() - kGcmTagSize);
    std::array<std::uint8_t, kGcmTagSize> tag{};
    std::copy_n(bytes(sealed) + in.size(), tag.size(), tag.begin());
    const Context context = run_gcm(key, nonce, associated, in, out, kDecrypt);
    require_openssl(
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kGcmTagSize, tag.data()),
        "EVP_CIPHER_CTX_ctrl");
    int done = 0;
    const bool ok = EVP_CipherFinal_ex(context.get(), tag.data(), &done) == 1;
    ERR_clear_error();
    return ok;
}

WrappedKey wrap_key(const AesKey& by, const AesKey& key) {
    WrappedKey wrapped{};
    require_openssl(run_wrap(by, key, wrapped, kEncrypt) ? 1 : 0, "AES key wrap");
    return wrapped;
}

bool unwrap_key(const AesKey& by, const WrappedKey& wrapped, AesKey* out) {
    return run_wrap(by, wrapped, *out, kDecrypt);
}

}  // namespace auditchain
