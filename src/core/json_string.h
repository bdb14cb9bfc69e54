#pragma once

#include <algorithm>
#include <array>
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

/// Write a byte as JCS does, as itself or as an escape of at most 6 bytes: the short form if JSON
/// has one, else hex. Return the end of what was written.
inline char* write_escaped(char* out, char c) noexcept {
    // By byte: the letter behind the backslash, or 0 for itself.
    static constexpr std::array<char, 256> kLetters = [] {
        std::array<char, 256> letters{};
        std::fill_n(letters.begin(), 0x20, 'u');
        constexpr std::string_view kShort = "\bb\tt\nn\ff\rr\"\"\\\\";
        for (std::size_t i = 0; i < kShort.size(); i += 2) {
            letters[static_cast<unsigned char>(kShort[i])] = kShort[i + 1];
        }
        return letters;
    }();
    const char letter = kLetters[static_cast<unsigned char>(c)];
    if (letter == 0) {
        *out++ = c;
        return out;
    }
    *out++ = '\\';
    *out++ = letter;
    if (letter == 'u') {
        for (const char digit : {'0', '0', c >= 0x10 ? '1' : '0', "0123456789abcdef"[c & 0x0F]}) {
            *out++ = digit;
        }
    }
    return out;
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

/// Append a UTF-8 string as a JSON string in JCS form.
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
    out.append("\"", 1);
    // By blocks: each is given the room that it takes at most.
    constexpr std::size_t kBlock = 4096;
    for (; !utf8.empty(); utf8.remove_prefix(std::min(kBlock, utf8.size()))) {
        const std::string_view block = utf8.substr(0, kBlock);
        const std::size_t begin = out.size();
        out.resize(begin + 6 * block.size());
        char* p = out.data() + begin;
        for (const char c : block) {
            p = write_escaped(p, c);
        }
        out.resize(static_cast<std::size_t>(p - out.data()));
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
