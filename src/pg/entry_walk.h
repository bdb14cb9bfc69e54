// Reads all entries of a log in the order of their chains, and says what is wrong with them, and
// where. That takes several times as long as the pass in no order (entry_pass.h), which only says
// whether anything is.
#pragma once

#include "pg/faulty_places.h"
#include "pg/receipt.h"
#include "pg/verify.h"

namespace auditchain::pg {

struct EntryWalk {
    std::int64_t entries;
    std::int64_t faulty;  // that a violation names
    std::int32_t chains;
    ReceiptCheck receipts;
};

// Walks along each chain that the active snapshot sees, reports each violation, one a cause, and
// notes its place and those of its consequences. Sorts all entries by the table alone: whoever
// tampered with it may have tampered with its index. Memory does not grow with the log.
// `estimated` is the number of entries for who watches the progress, -1: unknown. Errors if the
// caller may not read all of the log. SPI is connected, row security forbidden (see entry_scan.h).
EntryWalk walk_entries(const Log& log, std::int64_t estimated, FaultyPlaces* faulty,
                       const ViolationReceiver& receiver);

}  // namespace auditchain::pg
