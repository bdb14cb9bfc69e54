// Verification of what is archived: the entries in a cold table.
#pragma once

#include "pg/verify.h"

namespace auditchain::pg {

struct ArchivedCheck {
    std::int64_t entries;  // read
    std::int64_t faulty;   // entries that a violation names
    std::int32_t chains;
    bool receipts_unchecked;
};

// Reads the entries that the ranges of an archive name, in a cold table of the log, and reports
// what is wrong with them, as a walk along their chains does, the links to what stands before and
// behind the ranges included. Runs with the caller's rights on that table. SPI is connected, row
// security forbidden; the active snapshot sees them.
ArchivedCheck check_archived_entries(const Log& log, std::int64_t archive, Oid table,
                                     const ViolationReceiver& receiver);

}  // namespace auditchain::pg
