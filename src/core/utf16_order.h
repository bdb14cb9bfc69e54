#pragma once

#include <algorithm>
#include <string_view>

namespace auditchain {

/// Return where a byte of UTF-8 sorts so that byte order becomes the order of UTF-16 code units.
/// The two differ in one place: U+E000..U+FFFF (lead bytes EE, EF) follow the surrogates that
/// encode U+10000 and above (lead bytes F0..F4).
constexpr int utf16_rank(unsigned char byte) noexcept {
    return byte == 0xEE || byte == 0xEF ? byte + 0x10 : byte;
}

/// Compare two valid UTF-8 strings by UTF-16 code units (RFC 8785 section 3.2.3).
/// Return less than, equal to or greater than zero, as memcmp does.
inline int compare_utf16(std::string_view a, std::string_view b) noexcept {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (x == a.end() || y == b.end()) {
        return (x != a.end()) - (y != b.end());
    }
    return utf16_rank(static_cast<unsigned char>(*x)) - utf16_rank(static_cast<unsigned char>(*y));
}

}  // namespace auditchain
