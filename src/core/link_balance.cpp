#include "link_balance.h"

#include <cstring>

namespace auditchain {
namespace {

constexpr std::uint64_t kPrime = (std::uint64_t{1} << 61) - 1;

__extension__ using Wide = unsigned __int128;

/// Return a smaller value congruent to `wide`, since 2^61 is congruent to 1.
std::uint64_t fold(Wide wide) {
    return static_cast<std::uint64_t>(wide & kPrime) + static_cast<std::uint64_t>(wide >> 61);
}

/// Return wide, below 2^124, modulo the prime.
std::uint64_t reduce(Wide wide) {
    const std::uint64_t folded = fold(fold(wide));  // at most the prime plus 8
    return folded >= kPrime ? folded - kPrime : folded;
}

std::uint64_t multiply(std::uint64_t a, std::uint64_t b) {
    return reduce(Wide{a} * b);
}

std::uint64_t subtract(std::uint64_t a, std::uint64_t b) {
    return a >= b ? a - b : a + kPrime - b;
}

std::uint64_t power(std::uint64_t base, std::uint64_t exponent) {
    std::uint64_t result = 1;
    for (; exponent != 0; exponent >>= 1) {
        if ((exponent & 1) != 0) {
            result = multiply(result, base);
        }
        base = multiply(base, base);
    }
    return result;
}

/// Return the words of a text as a polynomial at `point`, its length first: texts that differ have
/// different polynomials.
std::uint64_t hash_text(std::uint64_t point, std::string_view text) {
    std::uint64_t hash = text.size();
    while (!text.empty()) {
        const std::string_view chunk = text.substr(0, 7);  // below the prime
        std::uint64_t word = 0;
        std::memcpy(&word, chunk.data(), chunk.size());
        hash = reduce(Wide{hash} * point + word);
        text.remove_prefix(chunk.size());
    }
    return hash;
}

}  // namespace

LinkBalance::Secret LinkBalance::make_secret(std::span<const std::uint8_t, sizeof(Secret)> random) {
    constexpr std::size_t kNumbers = sizeof(Secret) / sizeof(std::uint64_t);
    std::uint64_t numbers[kNumbers];
    std::memcpy(numbers, random.data(), sizeof numbers);
    for (std::uint64_t& number : numbers) {
        number = reduce(number);
    }
    Secret secret;
    std::memcpy(&secret, numbers, sizeof secret);
    return secret;
}

/// (r - hash), of 32-bit words: their products with coefficients below 2^61 add up below 2^97.
std::uint64_t LinkBalance::item(int repeat, std::int32_t chain, std::int64_t position,
                                const Digest& checksum) const {
    std::uint32_t words[kWords];
    std::memcpy(&words[0], &chain, sizeof chain);
    std::memcpy(&words[1], &position, sizeof position);
    std::memcpy(&words[3], checksum.bytes.data(), checksum.bytes.size());
    Wide hash = 0;
    for (int i = 0; i < kWords; ++i) {
        hash += Wide{secret_.coefficients[repeat][i]} * words[i];
    }
    return subtract(secret_.points[repeat], reduce(hash));
}

std::uint64_t LinkBalance::key_item(int repeat, std::int32_t chain, std::string_view key) const {
    const auto number = static_cast<std::uint32_t>(chain);
    const Wide hash =
        Wide{secret_.coefficients[repeat][0]} * number +
        Wide{secret_.coefficients[repeat][1]} * hash_text(secret_.text_points[repeat], key);
    return subtract(secret_.points[repeat], reduce(hash));
}

void LinkBalance::add_entry(std::int32_t chain, std::int64_t position, const Digest& previous,
                            const Digest& checksum) {
    add_archived(chain, position, position, previous, checksum);
}

void LinkBalance::add_archived(std::int32_t chain, std::int64_t first, std::int64_t last,
                               const Digest& previous, const Digest& checksum) {
    // Unsigned, as a forged position may be the smallest there is.
    const auto before =
        static_cast<std::int64_t>(static_cast<std::uint64_t>(first) - std::uint64_t{1});
    for (int i = 0; i < kRepeats; ++i) {
        links_[i].provided = multiply(links_[i].provided, item(i, chain, last, checksum));
        links_[i].needed = multiply(links_[i].needed, item(i, chain, before, previous));
    }
}

void LinkBalance::add_archived_keys(std::int32_t chain, std::string_view key, std::int64_t count) {
    for (int i = 0; i < kRepeats; ++i) {
        const std::uint64_t all = power(key_item(i, chain, key), static_cast<std::uint64_t>(count));
        keys_[i].provided = multiply(keys_[i].provided, all);
    }
}

void LinkBalance::add_key(std::int32_t chain, std::string_view key) {
    for (int i = 0; i < kRepeats; ++i) {
        keys_[i].provided = multiply(keys_[i].provided, key_item(i, chain, key));
    }
}

void LinkBalance::add_chain(std::int32_t chain, std::int64_t newest, const Digest& checksum) {
    for (int i = 0; i < kRepeats; ++i) {
        links_[i].provided = multiply(links_[i].provided, item(i, chain, 0, Digest{}));
        links_[i].needed = multiply(links_[i].needed, item(i, chain, newest, checksum));
    }
}

void LinkBalance::add_expected_keys(std::int32_t chain, std::string_view key, std::int64_t newest) {
    for (int i = 0; i < kRepeats; ++i) {
        const std::uint64_t all =
            power(key_item(i, chain, key), static_cast<std::uint64_t>(newest));
        keys_[i].needed = multiply(keys_[i].needed, all);
    }
}

void LinkBalance::merge(const LinkBalance& other) {
    for (int i = 0; i < kRepeats; ++i) {
        links_[i].provided = multiply(links_[i].provided, other.links_[i].provided);
        links_[i].needed = multiply(links_[i].needed, other.links_[i].needed);
        keys_[i].provided = multiply(keys_[i].provided, other.keys_[i].provided);
        keys_[i].needed = multiply(keys_[i].needed, other.keys_[i].needed);
    }
}

bool LinkBalance::balanced() const {
    for (int i = 0; i < kRepeats; ++i) {
        if (links_[i].provided != links_[i].needed || keys_[i].provided != keys_[i].needed) {
            return false;
        }
    }
    return true;
}

}  // namespace auditchain
