#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>
#include <string_view>

#include "utf16_order.h"

namespace auditchain {

/// Whether JCS writes this byte as an escape. All others, DEL and UTF-8 included, stand for
/// themselves (RFC 8785 section 3.2.2.2).
constexpr bool needs_escape(char c) noexcept {
    return static_cast<unsigned char>(c) < 0x20 || c == '"' || c == '\\';
}

/// Append the JCS escape of a byte that needs one: the short form if JSON has one, else hex.
template <class Buffer>
void append_escape(Buffer& out, char c) {
    constexpr std::string_view kShort = "\bb\tt\nn\ff\rr\"\"\\\\";
    constexpr char kDigits[] = "0123456789abcdef";
    char escape[] = {'\\', 'u', '0', '0', kDigits[(c >> 4) & 0x0F], kDigits[c & 0x0F]};
    std::size_t size = sizeof escape;
    for (std::size_t i = 0; i < kShort.size(); i += 2) {
        if (kShort[i] == c) {
            escape[1] = kShort[i + 1];
            size = 2;
        }
    }
    out.append(escape, size);
}

/// Whether one of the 8 bytes of a word needs an escape.
constexpr bool any_needs_escape(std::uint64_t word) noexcept {
    constexpr std::uint64_t kOnes = 0x0101010101010101;
    constexpr std::uint64_t kHighBits = 0x80 * kOnes;
    const auto below = [](std::uint64_t bytes, std::uint64_t bound) {
        return (bytes - kOnes * bound) & ~bytes;  // high bit set in the first byte that is below
    };
    const std::uint64_t found =
        below(word, 0x20) | below(word ^ kOnes * '"', 1) | below(word ^ kOnes * '\\', 1);
    return (found & kHighBits) != 0;
}

/// Return the bytes at p as a word.
template <class Word>
std::uint64_t load_word(const char* p) noexcept {
    Word word;
    std::memcpy(&word, p, sizeof word);
    return word;
}

/// Whether one of the bytes needs an escape. It looks at words, and so at some bytes twice.
inline bool any_needs_escape(std::string_view text) noexcept {
    const char* p = text.data();
    const char* const end = p + text.size();
    if (text.size() < 4) {
        return std::any_of(p, end, needs_escape);
    }
    if (text.size() < 8) {
        return any_needs_escape(load_word<std::uint32_t>(p) | load_word<std::uint32_t>(end - 4)
                                                                  << 32);
    }
    for (; end - p > 8; p += 8) {
        if (any_needs_escape(load_word<std::uint64_t>(p))) {
            return true;
        }
    }
    return any_needs_escape(load_word<std::uint64_t>(end - 8));
}

/// Return the first byte in [p, end) that needs an escape, or end.
inline const char* find_escape(const char* p, const char* end) noexcept {
    while (end - p >= 8 && !any_needs_escape(load_word<std::uint64_t>(p))) {
        p += 8;
    }
    return std::find_if(p, end, needs_escape);
}

/// Append a UTF-8 string as a JSON string in JCS form, runs without escapes as a whole.
template <class Buffer>
void append_json_string(Buffer& out, std::string_view utf8) {
    if (!any_needs_escape(utf8)) {  // most often
        const std::size_t begin = out.size();
        out.resize(begin + utf8.size() + 2);
        char* const p = out.data() + begin;
        p[0] = '"';
        std::copy(utf8.begin(), utf8.end(), p + 1);
        p[utf8.size() + 1] = '"';
        return;
    }
    const char* run = utf8.data();
    const char* const end = run + utf8.size();
    out.append("\"", 1);
    while (run != end) {
        const char* const stop = find_escape(run, end);
        out.append(run, static_cast<std::size_t>(stop - run));
        run = stop;
        if (run != end) {
            append_escape(out, *run++);
        }
    }
    out.append("\"", 1);
}

/// Append a UTF-8 string as the key of a member, `"name":`.
template <class Buffer>
void append_key(Buffer& out, std::string_view utf8) {
    append_json_string(out, utf8);
    out.append(":", 1);
}

/// Return the next byte that a JCS-escaped text stands for, and step past it.
inline unsigned char next_unescaped(const char*& p) noexcept {
    const char c = *p++;
    if (c != '\\') {
        return static_cast<unsigned char>(c);
    }
    switch (const char kind = *p++) {
        case 'b':
            return '\b';
        case 't':
            return '\t';
        case 'n':
            return '\n';
        case 'f':
            return '\f';
        case 'r':
            return '\r';
        case 'u': {  // always 00xx, below 0020
            const int low = p[3] <= '9' ? p[3] - '0' : p[3] - 'a' + 10;
            const int high = p[2] - '0';
            p += 4;
            return static_cast<unsigned char>(high * 16 + low);
        }
        default:  // the quote and the backslash
            return static_cast<unsigned char>(kind);
    }
}

/// Compare two JCS-escaped texts (without quotes) as compare_utf16 would compare what they stand
/// for. It reads no further than the first difference, so it needs no unescaped copy.
inline int compare_escaped(std::string_view a, std::string_view b) noexcept {
    const char* x = a.data();
    const char* y = b.data();
    const char* const x_end = x + a.size();
    const char* const y_end = y + b.size();
    while (x != x_end && y != y_end) {
        const int order = utf16_rank(next_unescaped(x)) - utf16_rank(next_unescaped(y));
        if (order != 0) {
            return order;
        }
    }
    return (x != x_end) - (y != y_end);
}

}  // namespace auditchain
