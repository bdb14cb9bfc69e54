#include "ed25519.h"

#include <climits>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

#include "malformed.h"
#include "openssl_error.h"

namespace auditchain {
namespace {

struct FreeBio {
    void operator()(BIO* bio) const noexcept { BIO_free(bio); }
};
using Bio = std::unique_ptr<BIO, FreeBio>;

struct FreeContext {
    void operator()(EVP_MD_CTX* context) const noexcept { EVP_MD_CTX_free(context); }
};
using Context = std::unique_ptr<EVP_MD_CTX, FreeContext>;

struct FreeKey {
    void operator()(EVP_PKEY* key) const noexcept { EVP_PKEY_free(key); }
};
using PublicKey = std::unique_ptr<EVP_PKEY, FreeKey>;

const unsigned char* data(std::string_view text) noexcept {
    return reinterpret_cast<const unsigned char*>(text.data());
}

/// Called when a key is encrypted: notes that in *asked, and gives no passphrase, where OpenSSL
/// would ask for one on the terminal.
int refuse_passphrase(char*, int, int, void* asked) noexcept {
    *static_cast<bool*>(asked) = true;
    return -1;
}

}  // namespace

void Ed25519PrivateKey::Free::operator()(EVP_PKEY* key) const noexcept {
    EVP_PKEY_free(key);
}

Ed25519PrivateKey Ed25519PrivateKey::from_pem(std::string_view pem) {
    const Bio bio(pem.size() > INT_MAX ? nullptr
                                       : BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
    require_openssl(bio != nullptr, "BIO_new_mem_buf");
    bool encrypted = false;
    Ed25519PrivateKey key(
        PEM_read_bio_PrivateKey(bio.get(), nullptr, refuse_passphrase, &encrypted));
    ERR_clear_error();
    if (encrypted) {
        throw Malformed("the key is encrypted; a key without a passphrase is needed");
    }
    if (key.key_ == nullptr) {
        throw Malformed("no private key in PEM (PKCS#8) was found");
    }
    if (EVP_PKEY_is_a(key.key_.get(), "ED25519") != 1) {
        throw Malformed("the private key is not of type Ed25519");
    }
    return key;
}

Ed25519PrivateKey Ed25519PrivateKey::generate() {
    Ed25519PrivateKey key(EVP_PKEY_Q_keygen(nullptr, nullptr, "ED25519"));
    require_openssl(key.key_ != nullptr, "EVP_PKEY_Q_keygen");
    return key;
}

std::string Ed25519PrivateKey::to_pem() const {
    const Bio bio(BIO_new(BIO_s_mem()));  // erases its memory when freed
    require_openssl(bio != nullptr, "BIO_new");
    require_openssl(
        PEM_write_bio_PKCS8PrivateKey(bio.get(), key_.get(), nullptr, nullptr, 0, nullptr, nullptr),
        "PEM_write_bio_PKCS8PrivateKey");
    char* text = nullptr;
    const long size = BIO_get_mem_data(bio.get(), &text);
    return std::string(text, static_cast<std::size_t>(size));
}

Ed25519PrivateKey Ed25519PrivateKey::from_seed(const Ed25519Seed& seed) {
    Ed25519PrivateKey key(
        EVP_PKEY_new_raw_private_key_ex(nullptr, "ED25519", nullptr, seed.data(), seed.size()));
    require_openssl(key.key_ != nullptr, "EVP_PKEY_new_raw_private_key_ex");
    return key;
}

void Ed25519PrivateKey::seed(Ed25519Seed* out) const {
    std::size_t size = out->size();
    require_openssl(EVP_PKEY_get_raw_private_key(key_.get(), out->data(), &size),
                    "EVP_PKEY_get_raw_private_key");
}

Ed25519PublicKey Ed25519PrivateKey::public_key() const {
    Ed25519PublicKey key;
    std::size_t size = key.size();
    require_openssl(EVP_PKEY_get_raw_public_key(key_.get(), key.data(), &size),
                    "EVP_PKEY_get_raw_public_key");
    return key;
}

Ed25519Signature Ed25519PrivateKey::sign(std::string_view message) const {
    const Context context(EVP_MD_CTX_new());
    require_openssl(context != nullptr, "EVP_MD_CTX_new");
    require_openssl(EVP_DigestSignInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr,
                                          key_.get(), nullptr),
                    "EVP_DigestSignInit_ex");
    Ed25519Signature signature;
    std::size_t size = signature.size();
    require_openssl(
        EVP_DigestSign(context.get(), signature.data(), &size, data(message), message.size()),
        "EVP_DigestSign");
    return signature;
}

bool ed25519_verify(const Ed25519PublicKey& key, std::string_view message,
                    const Ed25519Signature& signature) {
    const PublicKey pkey(
        EVP_PKEY_new_raw_public_key_ex(nullptr, "ED25519", nullptr, key.data(), key.size()));
    require_openssl(pkey != nullptr, "EVP_PKEY_new_raw_public_key_ex");
    const Context context(EVP_MD_CTX_new());
    require_openssl(context != nullptr, "EVP_MD_CTX_new");
    require_openssl(EVP_DigestVerifyInit_ex(context.get(), nullptr, nullptr, nullptr, nullptr,
                                            pkey.get(), nullptr),
                    "EVP_DigestVerifyInit_ex");
    const int result = EVP_DigestVerify(context.get(), signature.data(), signature.size(),
                                        data(message), message.size());
    if (result < 0) {
        throw_openssl_error("EVP_DigestVerify");
    }
    ERR_clear_error();
    return result == 1;
}

}  // namespace auditchain
