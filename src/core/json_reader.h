#pragma once

#include <cstddef>
#include <string_view>

namespace auditchain {

/// Takes JSON apart that was written without white space, a value at a time. It may be given any
/// text: where something else stands, it returns false. Texts that it gives are part of that.
class JsonReader {
  public:
    explicit JsonReader(std::string_view text) noexcept : rest_(text) {}

    bool at_end() const noexcept { return rest_.empty(); }

    /// Whether this character stands next, and step past it.
    bool take(char c) noexcept {
        if (rest_.empty() || rest_.front() != c) {
            return false;
        }
        rest_.remove_prefix(1);
        return true;
    }

    /// Read a string and give it as it is escaped, without its quotes; fit for unescape().
    bool string(std::string_view* escaped) noexcept {
        const std::size_t end = string_end(0);
        if (end == 0) {
            return false;
        }
        *escaped = rest_.substr(1, end - 2);
        rest_.remove_prefix(end);
        return true;
    }

    /// Read a value of any kind and give its text. Brackets of one kind are not told from those of
    /// the other.
    bool value(std::string_view* text) noexcept {
        std::size_t depth = 0;
        std::size_t i = 0;
        for (; i < rest_.size(); ++i) {
            const char c = rest_[i];
            if (c == '"') {
                i = string_end(i);
                if (i-- == 0) {
                    return false;
                }
            } else if (c == '[' || c == '{') {
                ++depth;
            } else if (c == ',' && depth == 0) {
                break;
            } else if (c == ']' || c == '}') {
                if (depth == 0) {
                    break;
                }
                --depth;
            }
        }
        *text = rest_.substr(0, i);
        rest_.remove_prefix(i);
        return !text->empty() && depth == 0;
    }

  private:
    /// Where the string ends that begins at `i`, behind its quote; 0: none does.
    std::size_t string_end(std::size_t i) const noexcept {
        if (i >= rest_.size() || rest_[i] != '"') {
            return 0;
        }
        for (++i; i < rest_.size() && rest_[i] != '"'; ++i) {
            if (rest_[i] != '\\') {
                continue;
            }
            const std::size_t size = i + 1 < rest_.size() && rest_[i + 1] == 'u' ? 5 : 1;
            if (rest_.size() - i <= size || rest_.substr(i, size + 1).find('"', 2) != rest_.npos) {
                return 0;
            }
            i += size;
        }
        return i < rest_.size() ? i + 1 : 0;
    }

    std::string_view rest_;
};

}  // namespace auditchain
