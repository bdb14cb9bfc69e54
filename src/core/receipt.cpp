#include "receipt.h"

#include <algorithm>
#include <stdexcept>

#include "lines.h"
#include "malformed.h"

namespace auditchain {
namespace {

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
    erase(evolving.secret);
}

bool parse_receipt(std::string_view bytes, Receipt* out) noexcept {
    out->evolving = bytes.size() == kEvolvingReceiptSize;
    if (!out->evolving && bytes.size() != sizeof out->mac.bytes) {
        return false;
    }
    out->epoch = 0;
    const std::string_view mac = bytes.substr(bytes.size() - sizeof out->mac.bytes);
    for (const char c : bytes.substr(0, bytes.size() - mac.size())) {
        out->epoch = out->epoch << 8 | static_cast<std::uint8_t>(c);
    }
    mac.copy(reinterpret_cast<char*>(out->mac.bytes.data()), mac.size());
    return true;
}

std::size_t write_receipt(const Receipt& receipt,
                          std::span<std::uint8_t, kEvolvingReceiptSize> out) noexcept {
    std::size_t size = 0;
    for (int shift = 24; receipt.evolving && shift >= 0; shift -= 8) {
        out[size++] = static_cast<std::uint8_t>(receipt.epoch >> shift);
    }
    std::copy(receipt.mac.bytes.begin(), receipt.mac.bytes.end(), out.begin() + size);
    return size + receipt.mac.bytes.size();
}

void parse_receipt_secrets(std::string_view text, ReceiptSecrets* out) {
    out->count = 0;
    out->evolving_line = -1;
    while (!text.empty()) {
        const std::size_t end = std::min(text.find('\n'), text.size());
        std::string_view line = text.substr(0, end);
        text.remove_prefix(std::min(end + 1, text.size()));
        if (line.ends_with('\r')) {
            line.remove_suffix(1);
        }
        if (out->lines() == kMaxReceiptSecrets) {
            throw Malformed("it has more than " + to_decimal(kMaxReceiptSecrets) + " lines");
        }
        if (is_evolving_key(line)) {
            if (out->evolving_line >= 0) {
                throw Malformed("it has more than one evolving key");
            }
            parse_evolving_key(line, kEvolvingKeyWord, &out->evolving);
            out->evolving_line = static_cast<int>(out->count);
        } else if (read_hex(line, &out->secrets[out->count])) {
            ++out->count;
        } else {
            throw Malformed("line " + to_decimal(out->lines() + 1) +
                            " is not a secret of 64 hexadecimal digits");
        }
    }
    if (out->lines() == 0) {
        throw Malformed("it is empty");
    }
}

std::size_t format_receipt_secrets(const ReceiptSecrets& secrets, std::span<char> out) {
    std::size_t size = 0;
    for (std::size_t line = 0; line <= secrets.count; ++line) {
        if (secrets.evolving_line == static_cast<int>(line)) {
            size += format_evolving_key(secrets.evolving, kEvolvingKeyWord, out.subspan(size));
        }
        if (line < secrets.count) {
            const ReceiptSecret& secret = secrets.secrets[line];
            if (out.size() - size <= 2 * secret.size()) {
                throw std::length_error("no room for receipt secrets");
            }
            write_hex(secret.data(), secret.size(), out.data() + size);
            size += 2 * secret.size();
            out[size++] = '\n';
        }
    }
    return size;
}

std::string receipt_key_id(Sha256& sha256, const ReceiptSecret& secret) {
    const std::string_view bytes(reinterpret_cast<const char*>(secret.data()), secret.size());
    return to_hex(sha256({"auditchain receipt key", bytes})).substr(0, 8);
}

ReceiptMaker::ReceiptMaker(const ReceiptSecret& secret, std::string_view chain_key)
    : hmac_(DerivedKey(secret, chain_key).bytes) {}

}  // namespace auditchain
