// Epoch seals: what the server says of a log's tree under a key that the epoch's end destroys
// (docs/format.md).
#pragma once

#include "core/digest.h"
#include "pg/incarnation.h"
#include "pg/log.h"

namespace auditchain::pg {

// Seals the tree of a log with receipts for the present epoch, in place of an earlier seal of the
// same one; does nothing where the server has no evolving key. SPI is connected.
void seal_epoch(const Log& log, const Incarnation& incarnation, std::uint64_t size,
                const Digest& root);

}  // namespace auditchain::pg
