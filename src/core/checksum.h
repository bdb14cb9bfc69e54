#pragma once

#include <string_view>

#include "digest.h"
#include "sha256.h"

namespace auditchain {

/// Return the checksum of an entry in format 1: SHA-256( hex(previous) || payload ), so that
/// `printf '%s%s' "$previous" "$payload" | sha256sum` checks it.
/// Throws std::runtime_error if OpenSSL fails.
Digest entry_checksum(Sha256& sha256, const Digest& previous, std::string_view payload);

}  // namespace auditchain
