// Computes the Merkle tree of a log's sealed entries, in parallel, and tells whether it is that on
// record.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// Whether the entries that the active snapshot sees have the tree whose sealed ranges (up to leaf
// `end`), hashes and checkpoints are stored. No says no more than that: verify_checkpoints.cpp
// finds out what is wrong. As many workers as entry_pass.h has; memory does not grow with the log.
// SPI is connected, and the caller may read all of the log.
bool tree_is_as_stored(const Log& log, std::int64_t end);

}  // namespace auditchain::pg
