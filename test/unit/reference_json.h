// A slow and simple canonical JSON, to compare PayloadWriter with.
#pragma once

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <iterator>
#include <stdexcept>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "payload_writer.h"

namespace auditchain::test {

/// Convert valid UTF-8 to UTF-16 code units.
inline std::u16string to_utf16(std::string_view utf8) {
    std::u16string units;
    for (std::size_t i = 0; i < utf8.size();) {
        const auto lead = static_cast<unsigned char>(utf8[i++]);
        const int followers = lead < 0x80 ? 0 : lead < 0xE0 ? 1 : lead < 0xF0 ? 2 : 3;
        char32_t code = followers == 0 ? lead : lead & (0x3F >> followers);
        for (int k = 0; k < followers; ++k) {
            code = code << 6 | (static_cast<unsigned char>(utf8[i++]) & 0x3F);
        }
        if (code >= 0x10000) {
            units += static_cast<char16_t>(0xD800 + ((code - 0x10000) >> 10));
            units += static_cast<char16_t>(0xDC00 + ((code - 0x10000) & 0x3FF));
        } else {
            units += static_cast<char16_t>(code);
        }
    }
    return units;
}

/// A JSON value as a tree; members in the order they are written.
struct Node {
    enum class Kind { literal, string, bytes, array, object };

    Kind kind = Kind::literal;
    std::string text = "null";  ///< of a literal (null, true, false, number), string or bytes
    std::vector<std::string> names{};
    std::vector<Node> values{};

    bool has_duplicate_key() const {
        std::vector<std::string> sorted = names;
        std::sort(sorted.begin(), sorted.end());
        return std::adjacent_find(sorted.begin(), sorted.end()) != sorted.end() ||
               std::any_of(values.begin(), values.end(),
                           [](const Node& value) { return value.has_duplicate_key(); });
    }
};

inline std::string quote_json(std::string_view utf8) {
    std::string json = "\"";
    for (const char c : utf8) {
        constexpr std::string_view kEscaped = "\b\t\n\f\r\"\\";
        if (const auto i = kEscaped.find(c); i != std::string_view::npos) {
            json += '\\';
            json += "btnfr\"\\"[i];
        } else if (static_cast<unsigned char>(c) < 0x20) {
            char escape[7];
            std::snprintf(escape, sizeof escape, "\\u%04x", static_cast<unsigned>(c));
            json += escape;
        } else {
            json += c;
        }
    }
    return json + '"';
}

inline std::string canonical(const Node& node) {
    switch (node.kind) {
        case Node::Kind::literal:
            return node.text;
        case Node::Kind::string:
            return quote_json(node.text);
        case Node::Kind::bytes: {
            std::string hex;
            for (const char c : node.text) {
                char digits[3];
                std::snprintf(digits, sizeof digits, "%02x", static_cast<unsigned char>(c));
                hex += digits;
            }
            return quote_json(hex);
        }
        case Node::Kind::array: {
            std::string json;
            for (const Node& value : node.values) {
                json += (json.empty() ? "" : ",") + canonical(value);
            }
            return "[" + json + "]";
        }
        case Node::Kind::object:
            break;
    }
    std::vector<std::pair<std::u16string, std::string>> members;
    for (std::size_t i = 0; i < node.names.size(); ++i) {
        members.emplace_back(to_utf16(node.names[i]),
                             quote_json(node.names[i]) + ":" + canonical(node.values[i]));
    }
    std::stable_sort(members.begin(), members.end(),
                     [](const auto& a, const auto& b) { return a.first < b.first; });
    std::string json;
    for (const auto& member : members) {
        json += (json.empty() ? "" : ",") + member.second;
    }
    return "{" + json + "}";
}

/// Return a string of up to seven characters that are likely to be handled wrongly.
/// choose(n) returns a number below n, here and below.
template <class Choose>
std::string make_string(Choose& choose) {
    static constexpr const char* kCharacters[] = {
        "a",          "b",          "\"",     "\\",     "/",      "\b",         "\n",
        "\x0B",       "\x1F",       " ",      "!",      "[",      "]",          "\x7F",
        "\u0080",     "\u00F6",     "\u07FF", "\u0800", "\u20AC", "\uD7FF",     "\uE000",
        "\uEFFF",     "\uF000",     "\uFB33", "\uFFFF", "u0000",  "\U00010000", "\U0001F600",
        "\U000FFFFF", "\U0010FFFF", "aaaa",
    };
    std::string text;
    for (std::size_t i = choose(8); i > 0; --i) {
        text += kCharacters[choose(std::size(kCharacters))];
    }
    return text;
}

template <class Choose>
Node make_node(Choose& choose, int depth) {
    static constexpr const char* kLiterals[] = {
        "null", "true", "false", "0", "-0.10", "1E+400", "12345678901234567890"};
    const auto kind = static_cast<Node::Kind>(choose(depth > 0 ? 5 : 3));
    Node node{.kind = kind, .text = {}};
    if (kind == Node::Kind::literal) {
        node.text = kLiterals[choose(std::size(kLiterals))];
    } else if (kind <= Node::Kind::bytes) {
        node.text = make_string(choose);
    } else {
        for (std::size_t i = choose(6); i > 0; --i) {
            node.values.push_back(make_node(choose, depth - 1));
            if (kind == Node::Kind::object) {
                node.names.push_back(make_string(choose));
            }
        }
    }
    return node;
}

template <class Choose>
void write_members(PayloadWriter<std::string>& writer, const Node& node, Choose& choose);

/// Write a tree, now and then with a member that is taken back. Throws if last_value() is wrong.
template <class Choose>
void write(PayloadWriter<std::string>& writer, const Node& node, Choose& choose) {
    switch (node.kind) {
        case Node::Kind::literal:
            if (node.text == "null") {
                writer.null();
            } else if (node.text == "true" || node.text == "false") {
                writer.boolean(node.text == "true");
            } else {
                writer.number(node.text);
            }
            break;
        case Node::Kind::string:
            writer.string(node.text);
            break;
        case Node::Kind::bytes:
            writer.hex_string(
                {reinterpret_cast<const std::uint8_t*>(node.text.data()), node.text.size()});
            break;
        case Node::Kind::array:
            writer.begin_array();
            for (const Node& value : node.values) {
                write(writer, value, choose);
            }
            writer.end_array();
            break;
        case Node::Kind::object:
            writer.begin_object();
            write_members(writer, node, choose);
            writer.end_object();
            break;
    }
}

template <class Choose>
void write_members(PayloadWriter<std::string>& writer, const Node& node, Choose& choose) {
    for (std::size_t i = 0; i < node.names.size(); ++i) {
        if (choose(4) == 0) {
            writer.key(node.names[choose(node.names.size())]);
            writer.string(make_string(choose));
            writer.drop_member();
        }
        writer.key(node.names[i]);
        write(writer, node.values[i], choose);
        if (writer.last_value() != canonical(node.values[i])) {
            throw std::logic_error("last_value() is " + std::string(writer.last_value()));
        }
    }
}

}  // namespace auditchain::test
