#pragma once

#include <cstddef>
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

/// Append a UTF-8 string as a JSON string in JCS form, runs without escapes as a whole.
template <class Buffer>
void append_json_string(Buffer& out, std::string_view utf8) {
    out.append("\"", 1);
    const char* run = utf8.data();
    const char* const end = run + utf8.size();
    for (const char* p = run; p != end; ++p) {
        if (needs_escape(*p)) {
            out.append(run, static_cast<std::size_t>(p - run));
            append_escape(out, *p);
            run = p + 1;
        }
    }
    out.append(run, static_cast<std::size_t>(end - run));
    out.append("\"", 1);
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
