#pragma once

#include <array>
#include <compare>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string>
#include <string_view>

namespace auditchain {

/// A SHA-256 value. Default-constructed it is the genesis previous checksum: 32 zero bytes.
struct Digest {
    std::array<std::uint8_t, 32> bytes{};

    bool operator==(const Digest&) const = default;
    auto operator<=>(const Digest&) const = default;
};

/// Characters in the hex form of a Digest.
inline constexpr std::size_t kDigestHexSize = 2 * sizeof(Digest);

/// The two lower-case hex characters of each byte.
inline constexpr auto kHexOfByte = [] {
    constexpr char kDigits[] = "0123456789abcdef";
    std::array<std::array<char, 2>, 256> hex{};
    for (std::size_t byte = 0; byte < hex.size(); ++byte) {
        hex[byte] = {kDigits[byte >> 4], kDigits[byte & 0x0F]};
    }
    return hex;
}();

/// Write n bytes as 2n lower-case hex characters to out, without a terminator.
inline void write_hex(const std::uint8_t* bytes, std::size_t n, char* out) noexcept {
    for (std::size_t i = 0; i < n; ++i) {
        std::memcpy(out + 2 * i, kHexOfByte[bytes[i]].data(), 2);
    }
}

/// Return the value of a hex digit of either case, or -1.
inline int hex_value(char c) noexcept {
    if (c >= '0' && c <= '9') {
        return c - '0';
    }
    const char lower = static_cast<char>(c | 0x20);
    return lower >= 'a' && lower <= 'f' ? lower - 'a' + 10 : -1;
}

/// Read 32 bytes from 64 hex digits; false where the text is something else.
inline bool read_hex(std::string_view hex, std::array<std::uint8_t, 32>* out) noexcept {
    if (hex.size() != 2 * out->size()) {
        return false;
    }
    for (std::size_t i = 0; i < out->size(); ++i) {
        const int high = hex_value(hex[2 * i]);
        const int low = hex_value(hex[2 * i + 1]);
        if (high < 0 || low < 0) {
            return false;
        }
        (*out)[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    return true;
}

/// Return the 64 lower-case hex characters of a digest.
inline std::string to_hex(const Digest& digest) {
    std::string hex(kDigestHexSize, '\0');
    write_hex(digest.bytes.data(), digest.bytes.size(), hex.data());
    return hex;
}

}  // namespace auditchain
