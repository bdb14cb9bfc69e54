#include "bundle_cipher.h"

#include "hmac.h"
#include "malformed.h"

namespace auditchain {
namespace {

/// The number of the file, big-endian: it is the only one of this number under its key.
GcmNonce nonce_of(std::uint64_t number) noexcept {
    GcmNonce nonce{};
    for (std::size_t i = nonce.size(); number != 0; number >>= 8) {
        nonce[--i] = static_cast<std::uint8_t>(number);
    }
    return nonce;
}

std::uint8_t* bytes(std::string& text) noexcept {
    return reinterpret_cast<std::uint8_t*>(text.data());
}

}  // namespace

std::string archive_key_id(Sha256& sha256, const ReceiptSecret& key) {
    const Digest digest =
        sha256({"auditchain archive key", {reinterpret_cast<const char*>(key.data()), key.size()}});
    return to_hex(digest).substr(0, 8);
}

BundleCipher::BundleCipher() {
    make_random_key(&data_key_);
}

BundleCipher::BundleCipher(const ReceiptSecret& key, const WrappedKey& wrapped) {
    if (!unwrap_key(key, wrapped, &data_key_)) {
        throw Malformed("its data key does not open with the key that was given");
    }
}

BundleCipher::~BundleCipher() {
    erase(data_key_);
}

WrappedKey BundleCipher::wrap(const ReceiptSecret& key) const {
    return wrap_key(key, data_key_);
}

std::string BundleCipher::encrypt(std::uint64_t number, std::string_view name,
                                  std::string_view text) const {
    std::string file(text.size() + kGcmTagSize, '\0');
    gcm_encrypt(data_key_, nonce_of(number), name, text, bytes(file));
    return file;
}

std::string BundleCipher::decrypt(std::uint64_t number, std::string_view name,
                                  std::string_view file) const {
    if (file.size() < kGcmTagSize) {
        throw Malformed("an encrypted file is too short");
    }
    std::string text(file.size() - kGcmTagSize, '\0');
    if (!gcm_decrypt(data_key_, nonce_of(number), name, file, bytes(text))) {
        throw Malformed("an encrypted file was changed, or is another than its name says");
    }
    return text;
}

}  // namespace auditchain
