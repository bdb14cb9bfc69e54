// Verification of one entry: its content, its receipt and its link to the entry before it.
#pragma once

#include "pg/receipt.h"

namespace auditchain::pg {

struct EntryVerdict {
    bool chain_known;         // the log has this chain
    std::int64_t rows;        // found at the place
    std::int64_t archive;     // that the entry is in instead; 0: none
    std::int64_t violations;  // of the entry and its link; at least one where there is neither
    char* first;              // the first of them, told; palloc'd
};

// Reads the entry and the one before it by the index, in the active snapshot. SPI is connected and
// row security forbidden.
EntryVerdict check_entry(const Log& log, std::int32_t chain_id, std::int64_t position,
                         ReceiptCheck* receipts);

}  // namespace auditchain::pg
