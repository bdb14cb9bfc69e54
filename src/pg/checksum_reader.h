// Reads the checksums of entries by their places, in the order of a chain: by the index on
// (chain_id, chain_position) of each leaf, without a query.
#pragma once

#include "core/digest.h"
#include "pg/leaf_tables.h"

namespace auditchain::pg {

struct ChecksumReader;

// A reader in the active snapshot; nullptr when a leaf lacks the index. The caller may read the
// log.
ChecksumReader* open_checksums(const Log& log);

// Goes to an entry of a chain. It, and those that are read then, need not be there.
void seek_checksum(ChecksumReader* reader, std::int32_t chain_id, std::int64_t position);

// Reads the checksum of this entry, and goes to the one behind it; false when there is none.
bool read_checksum(ChecksumReader* reader, Digest* checksum);

void close_checksums(ChecksumReader* reader);

}  // namespace auditchain::pg
