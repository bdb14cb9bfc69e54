#include "utf16_order.h"

#include <algorithm>

namespace auditchain {

int compare_utf16(std::string_view a, std::string_view b) noexcept {
    const auto [x, y] = std::mismatch(a.begin(), a.end(), b.begin(), b.end());
    if (x == a.end() || y == b.end()) {
        return (x != a.end()) - (y != b.end());
    }
    return utf16_rank(static_cast<unsigned char>(*x)) - utf16_rank(static_cast<unsigned char>(*y));
}

}  // namespace auditchain
