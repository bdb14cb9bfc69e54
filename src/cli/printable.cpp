#include "printable.h"

#include <cstdio>

#include <nlohmann/json.hpp>

#include "utf8.h"

namespace auditchain::cli {
namespace {

/// Controls (C0, DEL, C1), line and paragraph separators, and marks, embeddings, overrides and
/// isolates of the direction of writing (Unicode Standard Annex 9, section 2).
bool may_mislead(char32_t c) {
    return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || c == 0x200E || c == 0x200F ||
           (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069);
}

}  // namespace

std::string printable(std::string_view text) {
    std::string shown;
    shown.reserve(text.size());
    while (!text.empty()) {
        const std::string_view before = text;
        const char32_t c = next_code_point(text);
        if (c == kNotUtf8) {
            shown += '?';
            text.remove_prefix(1);
        } else if (may_mislead(c)) {
            char escape[8];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c & 0xFFFF));
            shown += escape;
        } else {
            shown += before.substr(0, before.size() - text.size());
        }
    }
    return shown;
}

std::string printable_lines(std::string_view text) {
    std::string shown;
    while (!text.empty()) {
        const std::size_t end = text.find('\n');
        shown += shown.empty() ? "" : "\n";
        shown += printable(text.substr(0, end));
        text = end == text.npos ? std::string_view() : text.substr(end + 1);
    }
    return shown;
}

std::string json_line(const nlohmann::json& value) {
    return printable(value.dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace auditchain::cli
