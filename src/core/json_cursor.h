#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// Reads JSON that was written in one way only: members in a known order, without white space,
/// strings as append_json_string() escapes them. Whatever else stands there is malformed. Texts
/// that are given back are part of what is read.
class JsonCursor {
  public:
    explicit JsonCursor(std::string_view text) : rest_(text) {}

    /// What was not read yet.
    std::string_view rest() const noexcept { return rest_; }

    /// Step past a text and return true, if it stands next.
    bool take(std::string_view text) noexcept {
        if (!rest_.starts_with(text)) {
            return false;
        }
        rest_.remove_prefix(text.size());
        return true;
    }

    /// Step past a text. Throws Malformed unless it stands next.
    void expect(std::string_view text);

    /// Read a number from 0 to `max`. Throws Malformed if there is none.
    std::uint64_t number(std::uint64_t max);

    /// Read a string of lower-case hex that fills `out`. Throws Malformed if there is none.
    void hex(std::uint8_t* out, std::size_t size);

    /// Read a digest, a string of hex. Throws Malformed if there is none.
    Digest digest();

    /// Read a string and return it as it is escaped, without its quotes.
    /// Throws Malformed if there is none.
    std::string_view escaped();

    /// Read a value of any kind and return its text. Throws Malformed if there is none.
    std::string_view value();

  private:
    std::string_view rest_;
};

/// Write what an escaped text stands for to `out`, which has room for as many bytes as the text,
/// and return the end. The text is one that JsonCursor gave back.
char* unescape(std::string_view escaped, char* out) noexcept;

}  // namespace auditchain
