// Chaining the entries that a table holds when protection begins.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// Chains all rows of the log in the order of `order_by`, an SQL list; returns how many. The caller
// holds AccessExclusiveLock and has SPI connected. No trigger fires.
std::int64_t backfill(const Log& log, const char* order_by);

}  // namespace auditchain::pg
