#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace auditchain {

/// The two decimal digits of each number below 100.
inline constexpr auto kTwoDigits = [] {
    std::array<std::array<char, 2>, 100> digits{};
    for (std::size_t i = 0; i < digits.size(); ++i) {
        digits[i] = {static_cast<char>('0' + i / 10), static_cast<char>('0' + i % 10)};
    }
    return digits;
}();

/// Write the last `width` decimal digits of a number, leading zeros included, and return the end.
inline char* write_digits(char* out, std::uint32_t number, int width) noexcept {
    char* const end = out + width;
    char* p = end;
    for (; p - out >= 2; number /= 100) {
        p -= 2;
        std::memcpy(p, kTwoDigits[number % 100].data(), 2);
    }
    if (p != out) {
        *out = kTwoDigits[number % 10][1];
    }
    return end;
}

}  // namespace auditchain
