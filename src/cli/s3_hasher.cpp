#include "s3_hasher.h"

#include <stdexcept>

#include <openssl/evp.h>

namespace auditchain::cli {
namespace {

void must(bool done) {
    if (!done) {
        throw std::runtime_error("OpenSSL cannot compute SHA-256");
    }
}

}  // namespace

void Hasher::Free::operator()(EVP_MD_CTX* context) const noexcept {
    EVP_MD_CTX_free(context);
}

Hasher::Hasher() : context_(EVP_MD_CTX_new()) {
    must(context_ != nullptr);
    restart();
}

void Hasher::restart() {
    must(EVP_DigestInit_ex(context_.get(), EVP_sha256(), nullptr) == 1);
}

void Hasher::add(std::string_view bytes) {
    must(EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size()) == 1);
}

Digest Hasher::finish() {
    Digest digest;
    must(EVP_DigestFinal_ex(context_.get(), digest.bytes.data(), nullptr) == 1);
    return digest;
}

}  // namespace auditchain::cli
