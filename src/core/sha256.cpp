#include "sha256.h"

#include <stdexcept>
#include <string>

#include <openssl/err.h>
#include <openssl/evp.h>

namespace auditchain {
namespace {

/// Throw what OpenSSL says about its newest error, and leave its error queue empty.
[[noreturn]] void throw_openssl_error(const char* call) {
    char reason[256] = "unknown error";
    if (const unsigned long code = ERR_peek_last_error(); code != 0) {
        ERR_error_string_n(code, reason, sizeof reason);
    }
    ERR_clear_error();
    throw std::runtime_error(std::string(call) + " failed: " + reason);
}

void require(int ok, const char* call) {
    if (ok != 1) {
        throw_openssl_error(call);
    }
}

}  // namespace

void Sha256::Free::operator()(EVP_MD* algorithm) const noexcept {
    EVP_MD_free(algorithm);
}

void Sha256::Free::operator()(EVP_MD_CTX* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256()
    : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    require(algorithm_ != nullptr, "EVP_MD_fetch");
    require(context_ != nullptr, "EVP_MD_CTX_new");
}

Sha256::~Sha256() = default;

Digest Sha256::operator()(std::initializer_list<std::string_view> parts) {
    Digest digest;
    require(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr), "EVP_DigestInit_ex2");
    for (const std::string_view part : parts) {
        require(EVP_DigestUpdate(context_.get(), part.data(), part.size()), "EVP_DigestUpdate");
    }
    require(EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), nullptr), "EVP_DigestFinal_ex");
    return digest;
}

}  // namespace auditchain
