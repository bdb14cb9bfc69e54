#include "sha256.h"

#include <openssl/evp.h>

#include "openssl_error.h"

namespace auditchain {

void Sha256::Free::operator()(EVP_MD* algorithm) const noexcept {
    EVP_MD_free(algorithm);
}

void Sha256::Free::operator()(EVP_MD_CTX* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Sha256::Sha256()
    : algorithm_(EVP_MD_fetch(nullptr, "SHA256", nullptr)), context_(EVP_MD_CTX_new()) {
    require_openssl(algorithm_ != nullptr, "EVP_MD_fetch");
    require_openssl(context_ != nullptr, "EVP_MD_CTX_new");
}

Sha256::~Sha256() = default;

void Sha256::begin() {
    require_openssl(EVP_DigestInit_ex2(context_.get(), algorithm_.get(), nullptr),
                    "EVP_DigestInit_ex2");
}

void Sha256::add(std::string_view part) {
    require_openssl(EVP_DigestUpdate(context_.get(), part.data(), part.size()), "EVP_DigestUpdate");
}

Digest Sha256::end() {
    Digest digest;
    require_openssl(EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), nullptr),
                    "EVP_DigestFinal_ex");
    return digest;
}

Digest Sha256::operator()(std::initializer_list<std::string_view> parts) {
    begin();
    for (const std::string_view part : parts) {
        add(part);
    }
    return end();
}

}  // namespace auditchain
