// Fuzzes the parser of receipt key files: what it accepts are the lines that the secrets are
// written as, and what it refuses is not quoted.
//
//     build-fuzz/test/fuzz/receipt_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "malformed.h"
#include "receipt.h"
#include "require.h"

namespace {

using namespace auditchain;

std::string formatted(const ReceiptSecrets& secrets) {
    char text[8192];
    return std::string(text, format_receipt_secrets(secrets, text));
}

/// The text in lower case, every line ended by LF.
std::string normalized(std::string_view input) {
    std::string text;
    for (std::size_t i = 0; i < input.size(); ++i) {
        if (input[i] == '\r' && (i + 1 == input.size() || input[i + 1] == '\n')) {
            continue;
        }
        const bool upper = input[i] >= 'A' && input[i] <= 'F';
        text += upper ? static_cast<char>(input[i] - 'A' + 'a') : input[i];
    }
    if (!text.ends_with('\n')) {
        text += '\n';
    }
    return text;
}

/// Whether the text has what may be a piece of a secret: no word of the parser's has.
bool has_hex_run(std::string_view text) {
    std::size_t run = 0;
    for (const char c : text) {
        const bool hex = (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || (c >= 'A' && c <= 'F');
        run = hex ? run + 1 : 0;
        if (run > 4) {
            return true;
        }
    }
    return false;
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    ReceiptSecrets secrets;
    try {
        parse_receipt_secrets(input, &secrets);
    } catch (const Malformed& error) {
        require(!has_hex_run(error.what()));
        return 0;
    }
    require(secrets.lines() > 0 && secrets.lines() <= kMaxReceiptSecrets);
    require(formatted(secrets) == normalized(input));
    return 0;
}
