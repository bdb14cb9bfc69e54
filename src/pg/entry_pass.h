// Reads all entries of a log in no order, in parallel, and tells whether it is intact.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

struct EntryPass {
    bool intact;           // false says no more than that: an ordered pass finds out what is wrong
    std::int64_t entries;  // these three only of an intact log
    std::int32_t chains;
    bool receipts_unchecked;     // it has receipts, and the server no key to check them with
    std::int64_t receipts_past;  // of epochs whose keys it has not
};

// Checks the content, chain, link and receipt of every entry that the active snapshot sees. Uses as
// many workers as max_parallel_workers_per_gather and the size of the log give, as a parallel
// sequential scan does. Memory does not grow with the log. Errors if the caller may not read all of
// it. SPI is connected, row security forbidden (see entry_scan.h).
EntryPass pass_over_entries(const Log& log);

}  // namespace auditchain::pg
