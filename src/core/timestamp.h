#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "digest.h"

namespace auditchain {

// Time stamps of RFC 3161: an authority signs that it has seen a hash at a time.

/// Return a request (TimeStampReq in DER, RFC 3161 section 2.4.1) to stamp a text with this
/// SHA-256 hash, with the authority's certificate in the answer.
/// Throws std::runtime_error if OpenSSL fails.
std::string timestamp_request(const Digest& imprint, std::uint64_t nonce);

/// What an authority answered. That it was parsed does not mean that its signature is valid, or
/// that the authority is to be trusted: `openssl ts -verify` tells.
struct Timestamp {
    std::string_view token;  ///< the TimeStampToken, a part of the bytes that were parsed
    Digest imprint{};        ///< SHA-256 of the stamped text
    std::int64_t time = 0;   ///< genTime in POSIX seconds, rounded down
    std::string authority;   ///< of the signer's certificate if there, else as the token names it,
                             ///< or empty; RFC 2253 in ASCII, what is not is escaped
};

/// No longer answer is parsed.
inline constexpr std::size_t kMaxTimestampSize = std::size_t{1} << 20;

/// Read a TimeStampResp that grants a token, or a TimeStampToken alone (RFC 3161 section 2.4.2).
/// Throws Malformed if it is neither, not of a SHA-256 hash, or exceeds the limit above;
/// std::runtime_error if OpenSSL fails.
Timestamp parse_timestamp(std::string_view der);

}  // namespace auditchain
