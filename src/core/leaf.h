#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "digest.h"
#include "sha256.h"

namespace auditchain {

/// Return the Merkle leaf of an entry, which receipts authenticate too:
///
///     auditchain/v1\n<log id>\n<chain name>\n<position>\n<checksum in hex>\n
///
/// The log id is a UUID in lower case, the position at least 1. Throws std::bad_alloc.
std::string entry_leaf(std::string_view log_id, std::string_view chain_name, std::int64_t position,
                       const Digest& checksum);

/// Replace the checksums of entries that follow each other in a chain, the first at this position,
/// by the hashes of their leaves in the Merkle tree.
/// Throws std::runtime_error if OpenSSL fails, std::bad_alloc.
void hash_leaves(Sha256& sha256, std::string_view log_id, std::string_view chain_name,
                 std::int64_t position, std::span<Digest> checksums);

}  // namespace auditchain
