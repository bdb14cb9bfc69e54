#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace auditchain {

/// Take the first line off a text and return it without its newline, or nothing if the text has no
/// newline left.
inline std::optional<std::string_view> take_line(std::string_view& text) noexcept {
    const auto newline = text.find('\n');
    if (newline == text.npos) {
        return std::nullopt;
    }
    const std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline + 1);
    return line;
}

// Decimals by hand: std::to_string and <charconv> put symbols of their own into the dynamic symbol
// table of the extension, where they can clash with those of others.

/// Return a number in decimal.
inline std::string to_decimal(std::uint64_t number) {
    char digits[20];
    char* const end = digits + sizeof digits;
    char* first = end;
    do {
        *--first = static_cast<char>('0' + number % 10);
        number /= 10;
    } while (number != 0);
    return std::string(first, end);
}

/// Return the number that to_decimal() writes as this text, or nothing if there is none up to
/// `max`.
inline std::optional<std::uint64_t> parse_decimal(std::string_view text,
                                                  std::uint64_t max) noexcept {
    if (text.empty() || (text.size() > 1 && text.front() == '0')) {
        return std::nullopt;
    }
    std::uint64_t number = 0;
    for (const char c : text) {
        const auto digit = static_cast<std::uint64_t>(c) - '0';
        if (digit > 9 || digit > max || number > (max - digit) / 10) {
            return std::nullopt;
        }
        number = 10 * number + digit;
    }
    return number;
}

}  // namespace auditchain
