#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// Return bytes in standard base64 with padding (RFC 4648 section 4), on one line.
std::string to_base64(std::string_view bytes);

/// Return the base64 form of a digest: 44 characters.
std::string to_base64(const Digest& digest);

/// Return the bytes that to_base64() writes as this text, or nothing if there are none: white
/// space, missing or surplus padding and stray bits in the last character are refused, so that
/// bytes have exactly one text.
std::optional<std::string> from_base64(std::string_view text);

/// Return the digest that to_base64() writes as this text, or nothing if there is none.
std::optional<Digest> digest_from_base64(std::string_view text);

}  // namespace auditchain
