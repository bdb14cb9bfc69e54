// Entries: reading checksums out of rows, and the checksum of a payload.
#pragma once

#include "core/digest.h"
#include "core/sha256.h"
#include "pg/backend.h"

namespace auditchain::pg {

// Reads a bytea of 32 bytes; false when it has another length.
bool read_digest(Datum value, Digest* digest);

// A bytea of 32 bytes, palloc'd.
Datum digest_datum(const Digest& digest);

// "1 entry", "2 entries"; palloc'd.
char* count_entries(std::int64_t count);

// The backend's SHA-256, made at its first use.
Sha256& sha256();

// SHA-256 over previous checksum and payload; errors only when OpenSSL fails.
Digest checksum_of(const Digest& previous, std::string_view payload);

}  // namespace auditchain::pg
