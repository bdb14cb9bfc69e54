#include "evolving_key.h"

#include <algorithm>
#include <stdexcept>
#include <string>

#include "hmac.h"
#include "lines.h"
#include "malformed.h"

namespace auditchain {
namespace {

constexpr std::string_view kVersion = "1";
constexpr std::uint64_t kMaxStart = std::uint64_t{1} << 40;

/// Take the first word off a line.
std::string_view take_word(std::string_view& line) noexcept {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view word = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return word;
}

std::uint64_t take_number(std::string_view& line, std::uint64_t max) {
    const auto number = parse_decimal(take_word(line), max);
    if (!number) {
        throw Malformed("its evolving key has no proper epoch, start or length");
    }
    return *number;
}

}  // namespace

std::uint32_t epoch_at(const EvolvingKey& key, std::uint64_t time) noexcept {
    const std::uint64_t since = time < key.start ? 0 : time - key.start;
    return static_cast<std::uint32_t>(std::min<std::uint64_t>(since / key.length, kMaxEpoch));
}

std::uint64_t end_of_epoch(const EvolvingKey& key, std::uint32_t epoch) noexcept {
    return key.start + (std::uint64_t{epoch} + 1) * key.length;
}

void evolve(EvolvingKey* key, std::uint32_t epoch) {
    std::array<std::uint8_t, 32> next;
    while (key->epoch < epoch) {
        hkdf_sha256(key->secret, {}, "auditchain next epoch", next);
        key->secret = next;
        ++key->epoch;
    }
    erase(next);
}

bool is_evolving_key(std::string_view line) noexcept {
    const std::string_view word = take_word(line);
    return word == kEvolvingKeyWord || word == kEvolvingSeedWord;
}

void parse_evolving_key(std::string_view line, std::string_view word, EvolvingKey* out) {
    const std::string_view found = take_word(line);
    if (found != word) {
        throw Malformed(found == kEvolvingSeedWord
                            ? "it holds the seed of an evolving key, which belongs elsewhere"
                            : "it holds no " + std::string(word));
    }
    if (take_word(line) != kVersion) {
        throw Malformed("its evolving key is of another version");
    }
    out->epoch = static_cast<std::uint32_t>(take_number(line, kMaxEpoch));
    out->start = take_number(line, kMaxStart);
    out->length = static_cast<std::uint32_t>(take_number(line, kMaxEpochLength));
    if (out->length == 0) {
        throw Malformed("its evolving key has epochs of no length");
    }
    if (!read_hex(line, &out->secret)) {
        throw Malformed("its evolving key does not end in 64 hexadecimal digits");
    }
}

std::size_t format_evolving_key(const EvolvingKey& key, std::string_view word,
                                std::span<char> out) {
    std::string text(word);
    text.append(" ").append(kVersion).append(" ").append(to_decimal(key.epoch)).append(" ");
    text.append(to_decimal(key.start)).append(" ").append(to_decimal(key.length)).append(" ");
    const std::size_t size = text.size() + 2 * key.secret.size() + 1;
    if (size > out.size()) {
        throw std::length_error("no room for an evolving key");
    }
    // The secret goes straight to where the caller erases it.
    write_hex(key.secret.data(), key.secret.size(), out.data() + text.copy(out.data(), size));
    out[size - 1] = '\n';
    return size;
}

Digest epoch_seal_mac(const std::array<std::uint8_t, 32>& secret, std::string_view log_id,
                      const EpochSeal& seal) {
    struct SealKey {
        std::array<std::uint8_t, 32> bytes{};
        ~SealKey() { erase(bytes); }
    } key;
    hkdf_sha256(secret, {}, "auditchain epoch seal", key.bytes);
    std::string text("auditchain/epoch-seal/v1\n");
    text.append(log_id).append("\n").append(to_decimal(seal.incarnation)).append("\n");
    text.append(to_decimal(seal.epoch)).append("\n").append(to_decimal(seal.size)).append("\n");
    text.append(to_hex(seal.root)).append("\n").append(to_decimal(seal.time)).append("\n");
    return HmacSha256(key.bytes)({text});
}

}  // namespace auditchain
