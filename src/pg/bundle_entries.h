// Reads the entries of a log that a bundle has, chain by chain.
#pragma once

#include "core/bundle_entry.h"
#include "pg/payload.h"

extern "C" {
#include <executor/spi.h>
}

namespace auditchain::pg {

struct BundleEntryReader {
    const Log* log;
    SPIPlanPtr plan;
    Portal portal;
    SPITupleTable* batch;
    std::uint64_t next;
    RowPlan* row;  // made with the first query
    Datum* values;
    bool* nulls;
    MemoryContext row_context;
};

// A reader with the caller's rights, in the active snapshot. SPI is connected for as long as it is
// used. palloc'd in the current context.
BundleEntryReader* make_bundle_reader(const Log& log);

// Begins with the entries of a chain at positions first..last.
void begin_bundle_entries(BundleEntryReader* reader, std::int32_t chain_id, std::int64_t first,
                          std::int64_t last);

// Reads the next; false at the end. Its leaf and chain are left to the caller; its payload is valid
// until the next call.
bool next_bundle_entry(BundleEntryReader* reader, BundledEntry* entry);

}  // namespace auditchain::pg
