#include "json_cursor.h"

#include <array>
#include <cstring>

#include "json_string.h"
#include "malformed.h"

namespace auditchain {
namespace {

/// By byte: the value of a lower-case hex digit, or 0xFF.
constexpr auto kHexValue = [] {
    std::array<std::uint8_t, 256> values{};
    values.fill(0xFF);
    for (std::uint8_t i = 0; i < 16; ++i) {
        values[static_cast<unsigned char>("0123456789abcdef"[i])] = i;
    }
    return values;
}();

/// Length of the escape at the beginning of a text; 0: append_json_string() would not write it.
std::size_t escape_size(std::string_view text) noexcept {
    if (text.size() < 2) {
        return 0;
    }
    const std::size_t size = text[1] == 'u' ? 6 : 2;
    const char kind = text[1];
    if (kind == 'u') {
        if (text.size() < 6 || text[2] != '0' || text[3] != '0' ||
            (text[4] != '0' && text[4] != '1') ||
            kHexValue[static_cast<unsigned char>(text[5])] == 0xFF) {
            return 0;
        }
        const char* p = text.data();
        char again[6];
        const auto c = static_cast<char>(next_unescaped(p));
        return write_escaped(again, c) == again + 6 ? size : 0;
    }
    return std::memchr("btnfr\"\\", kind, 7) != nullptr ? size : 0;
}

[[noreturn]] void refuse(const char* what) {
    throw Malformed(what);
}

}  // namespace

void JsonCursor::expect(std::string_view text) {
    if (!take(text)) {
        refuse("it has other members than it should have, or in another order");
    }
}

std::uint64_t JsonCursor::number(std::uint64_t max) {
    std::uint64_t number = 0;
    std::size_t i = 0;
    for (; i < rest_.size() && rest_[i] >= '0' && rest_[i] <= '9'; ++i) {
        const auto digit = static_cast<std::uint64_t>(rest_[i] - '0');
        if (digit > max || number > (max - digit) / 10) {
            refuse("a number in it is too big");
        }
        number = 10 * number + digit;
    }
    if (i == 0 || (i > 1 && rest_[0] == '0')) {
        refuse("it has something else where a number should stand");
    }
    rest_.remove_prefix(i);
    return number;
}

void JsonCursor::hex(std::uint8_t* out, std::size_t size) {
    if (rest_.size() < 2 * size + 2 || rest_[0] != '"' || rest_[2 * size + 1] != '"') {
        refuse("it has something else where hexadecimal digits should stand");
    }
    std::uint8_t wrong = 0;
    for (std::size_t i = 0; i < size; ++i) {
        const std::uint8_t high = kHexValue[static_cast<unsigned char>(rest_[2 * i + 1])];
        const std::uint8_t low = kHexValue[static_cast<unsigned char>(rest_[2 * i + 2])];
        wrong |= high | low;
        out[i] = static_cast<std::uint8_t>(high << 4 | low);
    }
    if ((wrong & 0xF0) != 0) {
        refuse("it has something else where hexadecimal digits should stand");
    }
    rest_.remove_prefix(2 * size + 2);
}

Digest JsonCursor::digest() {
    Digest digest;
    hex(digest.bytes.data(), digest.bytes.size());
    return digest;
}

std::string_view JsonCursor::escaped() {
    if (rest_.empty() || rest_[0] != '"') {
        refuse("it has something else where a string should stand");
    }
    std::string_view text = rest_.substr(1);
    for (;;) {
        while (text.size() >= 8 && !any_needs_escape(load_word<std::uint64_t>(text.data()))) {
            text.remove_prefix(8);
        }
        while (!text.empty() && !needs_escape(text[0])) {
            text.remove_prefix(1);
        }
        if (text.empty()) {
            refuse("a string in it has no end");
        }
        if (text[0] == '"') {
            const auto size = static_cast<std::size_t>(text.data() - rest_.data()) - 1;
            const std::string_view found = rest_.substr(1, size);
            rest_.remove_prefix(size + 2);
            return found;
        }
        const std::size_t size = text[0] == '\\' ? escape_size(text) : 0;
        if (size == 0) {
            refuse("a string in it is escaped in another way than it should be");
        }
        text.remove_prefix(size);
    }
}

std::string_view JsonCursor::value() {
    const std::string_view begin = rest_;
    int depth = 0;
    do {
        if (rest_.empty()) {
            refuse("a value in it has no end");
        }
        const char c = rest_[0];
        if (c == '"') {
            escaped();
            continue;
        }
        if (c == '{' || c == '[') {
            ++depth;
        } else if (c == '}' || c == ']') {
            --depth;
        } else if (depth == 0 && (c == ',' || c == ':')) {
            refuse("it has nothing where a value should stand");
        }
        rest_.remove_prefix(1);
        // A number or a word outside of all brackets goes on up to what cannot be part of it.
        if (depth == 0 && c != '}' && c != ']') {
            const std::size_t end = rest_.find_first_of(",]}");
            rest_.remove_prefix(end == rest_.npos ? rest_.size() : end);
        }
        if (depth < 0) {
            refuse("it has nothing where a value should stand");
        }
    } while (depth > 0);
    return begin.substr(0, begin.size() - rest_.size());
}

char* unescape(std::string_view escaped, char* out) noexcept {
    const char* p = escaped.data();
    const char* const end = p + escaped.size();
    while (p != end) {
        const auto* slash =
            static_cast<const char*>(std::memchr(p, '\\', static_cast<std::size_t>(end - p)));
        const char* const stop = slash == nullptr ? end : slash;
        std::memcpy(out, p, static_cast<std::size_t>(stop - p));
        out += stop - p;
        p = stop;
        if (p != end) {
            *out++ = static_cast<char>(next_unescaped(p));
        }
    }
    return out;
}

}  // namespace auditchain
