#include "bundle_cipher.h"

#include <algorithm>
#include <climits>
#include <memory>
#include <stdexcept>

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rand.h>

#include "hmac.h"
#include "malformed.h"
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

constexpr std::size_t kTag = 16;
constexpr int kDecrypt = 0;
constexpr int kEncrypt = 1;

const std::uint8_t* bytes(std::string_view text) noexcept {
    return reinterpret_cast<const std::uint8_t*>(text.data());
}

/// The number of the file as 12 bytes, big-endian: it is the only one of this number under its key.
std::array<std::uint8_t, 12> nonce_of(std::uint64_t number) noexcept {
    std::array<std::uint8_t, 12> nonce{};
    for (std::size_t i = nonce.size(); number != 0; number >>= 8) {
        nonce[--i] = static_cast<std::uint8_t>(number);
    }
    return nonce;
}

/// A context that has the key, the nonce and the name of the file.
Context begin(const ReceiptSecret& key, std::uint64_t number, std::string_view name,
              std::size_t size, int direction) {
    if (size > INT_MAX - kTag) {
        throw std::length_error("a file is too big to be encrypted");
    }
    Context context = make_context();
    require_openssl(EVP_CipherInit_ex(context.get(), EVP_aes_256_gcm(), nullptr, key.data(),
                                      nonce_of(number).data(), direction),
                    "EVP_CipherInit_ex");
    int done = 0;
    require_openssl(
        EVP_CipherUpdate(context.get(), nullptr, &done, bytes(name), static_cast<int>(name.size())),
        "EVP_CipherUpdate");
    return context;
}

/// AES key wrap: returns whether it could be done.
bool wrap_key(const ReceiptSecret& key, std::string_view in, std::uint8_t* out, std::size_t size,
              int direction) {
    const Context context = make_context();
    EVP_CIPHER_CTX_set_flags(context.get(), EVP_CIPHER_CTX_FLAG_WRAP_ALLOW);
    require_openssl(EVP_CipherInit_ex(context.get(), EVP_aes_256_wrap(), nullptr, key.data(),
                                      nullptr, direction),
                    "EVP_CipherInit_ex");
    std::array<std::uint8_t, sizeof(WrappedKey) + 8> result{};
    int done = 0;
    const bool ok = EVP_CipherUpdate(context.get(), result.data(), &done, bytes(in),
                                     static_cast<int>(in.size())) == 1 &&
                    static_cast<std::size_t>(done) == size;
    if (ok) {
        std::copy_n(result.begin(), size, out);
    }
    erase(result);
    ERR_clear_error();
    return ok;
}

}  // namespace

std::string archive_key_id(Sha256& sha256, const ReceiptSecret& key) {
    const Digest digest =
        sha256({"auditchain archive key", {reinterpret_cast<const char*>(key.data()), key.size()}});
    return to_hex(digest).substr(0, 8);
}

BundleCipher::BundleCipher() {
    require_openssl(RAND_priv_bytes(data_key_.data(), static_cast<int>(data_key_.size())),
                    "RAND_priv_bytes");
}

BundleCipher::BundleCipher(const ReceiptSecret& key, const WrappedKey& wrapped) {
    const std::string_view in(reinterpret_cast<const char*>(wrapped.data()), wrapped.size());
    if (!wrap_key(key, in, data_key_.data(), data_key_.size(), kDecrypt)) {
        throw Malformed("its data key does not open with the key that was given");
    }
}

BundleCipher::~BundleCipher() {
    erase(data_key_);
}

WrappedKey BundleCipher::wrap(const ReceiptSecret& key) const {
    const std::string_view in(reinterpret_cast<const char*>(data_key_.data()), data_key_.size());
    WrappedKey wrapped{};
    require_openssl(wrap_key(key, in, wrapped.data(), wrapped.size(), kEncrypt) ? 1 : 0,
                    "AES key wrap");
    return wrapped;
}

std::string BundleCipher::encrypt(std::uint64_t number, std::string_view name,
                                  std::string_view text) const {
    const Context context = begin(data_key_, number, name, text.size(), kEncrypt);
    std::string file(text.size() + kTag, '\0');
    auto* const out = reinterpret_cast<std::uint8_t*>(file.data());
    int done = 0;
    require_openssl(
        EVP_CipherUpdate(context.get(), out, &done, bytes(text), static_cast<int>(text.size())),
        "EVP_CipherUpdate");
    require_openssl(EVP_CipherFinal_ex(context.get(), out + done, &done), "EVP_CipherFinal_ex");
    require_openssl(
        EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_GET_TAG, kTag, out + text.size()),
        "EVP_CIPHER_CTX_ctrl");
    return file;
}

std::string BundleCipher::decrypt(std::uint64_t number, std::string_view name,
                                  std::string_view file) const {
    if (file.size() < kTag) {
        throw Malformed("an encrypted file is too short");
    }
    const std::string_view in = file.substr(0, file.size() - kTag);
    std::string tag(file.substr(in.size()));
    const Context context = begin(data_key_, number, name, in.size(), kDecrypt);
    std::string text(in.size(), '\0');
    auto* const out = reinterpret_cast<std::uint8_t*>(text.data());
    int done = 0;
    require_openssl(
        EVP_CipherUpdate(context.get(), out, &done, bytes(in), static_cast<int>(in.size())),
        "EVP_CipherUpdate");
    require_openssl(EVP_CIPHER_CTX_ctrl(context.get(), EVP_CTRL_AEAD_SET_TAG, kTag, tag.data()),
                    "EVP_CIPHER_CTX_ctrl");
    if (EVP_CipherFinal_ex(context.get(), out + done, &done) != 1) {
        ERR_clear_error();
        throw Malformed("an encrypted file was changed, or is another than its name says");
    }
    return text;
}

}  // namespace auditchain
