#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// Return the Merkle leaf of an entry, which receipts authenticate too:
///
///     auditchain/v1\n<log id>\n<chain name>\n<position>\n<checksum in hex>\n
///
/// The log id is a UUID in lower case, the position at least 1. Throws std::bad_alloc.
std::string entry_leaf(std::string_view log_id, std::string_view chain_name, std::int64_t position,
                       const Digest& checksum);

}  // namespace auditchain
