#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

#include "json_string.h"

namespace auditchain {

/// Whether a text is a plain number, such as -5, +49.50 or 1e-7: no spreadsheet runs it.
constexpr bool is_plain_number(std::string_view text) noexcept {
    const auto skip = [&text](std::string_view any_of) {
        const bool found = !text.empty() && any_of.find(text[0]) != any_of.npos;
        text.remove_prefix(found ? 1 : 0);
        return found;
    };
    const auto skip_digits = [&text] {
        const std::size_t digits = std::min(text.find_first_not_of("0123456789"), text.size());
        text.remove_prefix(digits);
        return digits > 0;
    };
    skip("+-");
    if (!skip_digits() || (skip(".") && !skip_digits())) {
        return false;
    }
    return (!skip("eE") || (skip("+-"), skip_digits())) && text.empty();
}

/// Append a JSON value in JCS form as a field of CSV (RFC 4180): a string as the text it stands
/// for, null as an empty field, all else as its JSON text.
///
/// Text that a spreadsheet would take for a formula (it begins with = + - @ TAB or CR and is no
/// number) gets a leading apostrophe, which spreadsheets read as "this is text".
template <class Buffer>
void append_csv_field(Buffer& out, std::string_view json) {
    if (json == "null") {
        return;
    }
    const bool escaped = json.starts_with('"');
    if (escaped) {
        json = json.substr(1, json.size() - 2);
    }
    const char* const end = json.data() + json.size();
    const auto next = [escaped](const char*& p) {
        return escaped ? static_cast<char>(next_unescaped(p)) : *p++;
    };
    bool quoted = false;
    for (const char* p = json.data(); p != end;) {
        quoted |= std::string_view(",\"\r\n").find(next(p)) != std::string_view::npos;
    }
    const char* first = json.data();
    const bool formula = first != end &&
                         std::string_view("=+-@\t\r").find(next(first)) != std::string_view::npos &&
                         !is_plain_number(json);
    if (quoted) {
        out.append("\"", 1);
    }
    if (formula) {
        out.append("'", 1);
    }
    for (const char* p = json.data(); p != end;) {
        const char c = next(p);
        out.append("\"\"", c == '"' ? 1 : 0);  // doubled, with the one that follows
        out.append(&c, 1);
    }
    if (quoted) {
        out.append("\"", 1);
    }
}

}  // namespace auditchain
