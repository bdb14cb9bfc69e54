// Reads entries of a log through an SQL query, with their payloads.
#pragma once

#include "core/chain_walk.h"
#include "core/receipt.h"
#include "pg/payload.h"

extern "C" {
#include <executor/spi.h>
}

namespace auditchain::pg {

// Turns row security off until AtEOXact_GUC(true, level): rows that a policy would hide are then an
// error, where they would else look like missing entries.
int forbid_row_security();

// Errors unless the active snapshot sees the log as one: an older one has its entries in no chain.
void require_visible(const Log& log);

// Errors unless, too, the caller may read all its columns and rows. Row security is forbidden.
void require_readable(const Log& log);

struct ScannedEntry {
    bool in_chain;  // false: its chain_id or chain_position is NULL
    std::int32_t chain_id;
    Entry entry;  // payload, key_matches and receipt are left to the caller; row is a row handle
    bool has_receipt;
    Receipt receipt;
};

// A scan over entries. SPI must be connected from open_entries to close_entries.
struct EntryScan {
    const Log* log;
    Portal portal;
    RowPlan* plan;
    SPITupleTable* batch;
    std::uint64_t next;
    Datum* values;
    bool* nulls;
    List* leaves;  // tables that row handles refer to, by number
    MemoryContext row_context;
};

// Opens the query "SELECT tableoid, ctid, * FROM log WHERE condition ORDER BY chain_id,
// chain_position" in the active snapshot. `condition` may be nullptr.
EntryScan* open_entries(const Log& log, const char* condition);

// Reads the next entry; false at the end.
bool next_entry(EntryScan* scan, ScannedEntry* entry);

// Of the entry read last: its payload, and the key that it has by its columns, UTF-8. Each is valid
// until the next of these calls.
std::string_view scanned_payload(EntryScan* scan);
std::string_view scanned_key(EntryScan* scan);

void close_entries(EntryScan* scan);

// How a person finds a row again: "id = 17" by the primary key, else by its place in the table.
// palloc'd. Reads the row again in the active snapshot.
char* describe_row(const EntryScan& scan, std::uint64_t row);

}  // namespace auditchain::pg
