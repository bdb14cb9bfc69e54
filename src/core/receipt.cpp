#include "receipt.h"

#include <algorithm>

#include "lines.h"
#include "malformed.h"

namespace auditchain {
namespace {

/// Return the value of a hex digit, or -1.
int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

bool read_secret(std::string_view hex, ReceiptSecret* secret) noexcept {
    if (hex.size() != 2 * secret->size()) {
        return false;
    }
    for (std::size_t i = 0; i < secret->size(); ++i) {
        const int high = hex_value(hex[2 * i]);
        const int low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        (*secret)[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
}

/// A derived key, for as long as it takes to prepare it.
struct DerivedKey {
    std::array<std::uint8_t, 32> bytes{};

    DerivedKey(const ReceiptSecret& secret, std::string_view chain_key) {
        hkdf_sha256(secret, {}, chain_key, bytes);
    }
    ~DerivedKey() { erase(bytes); }
    DerivedKey(const DerivedKey&) = delete;
    DerivedKey& operator=(const DerivedKey&) = delete;
};

}  // namespace

ReceiptSecrets::~ReceiptSecrets() {
    for (ReceiptSecret& secret : secrets) {
        erase(secret);
    }
}

void parse_receipt_secrets(std::string_view text, ReceiptSecrets* out) {
    out->count = 0;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (out->count == kMaxReceiptSecrets) {
            throw Malformed("it has more than " + to_decimal(kMaxReceiptSecrets) + " lines");
        }
        if (!read_secret(line, &out->secrets[out->count])) {
            throw Malformed("line " + to_decimal(out->count + 1) +
                            " is not a secret of 64 hexadecimal digits");
        }
        ++out->count;
    }
    if (out->count == 0) {
        throw Malformed("it is empty");
    }
}

std::string receipt_key_id(Sha256& sha256, const ReceiptSecret& secret) {
    const std::string_view bytes(reinterpret_cast<const char*>(secret.data()), secret.size());
    return to_hex(sha256({"auditchain receipt key", bytes})).substr(0, 8);
}

ReceiptMaker::ReceiptMaker(const ReceiptSecret& secret, std::string_view chain_key)
    : hmac_(DerivedKey(secret, chain_key).bytes) {}

}  // namespace auditchain
