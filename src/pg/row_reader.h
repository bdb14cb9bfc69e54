// Turns payloads back into the rows that they are of.
#pragma once

#include "core/bundle_entry.h"
#include "pg/payload.h"

namespace auditchain::pg {

struct RowReader {
    const Log* log;
    TupleDesc descriptor;
    RowPlan* plan;
    struct ColumnReader* columns;  // as those of the log
    Datum* values;                 // of the row that was read last
    bool* nulls;
    MemoryContext row_context;  // of its values
    const char* chain;          // that its chain_id is of
    std::int32_t chain_id;
};

// A reader of rows of this descriptor, whose columns have the names that `log` has for them.
// palloc'd in the current context; it takes part in the current nest level of settings, which the
// caller ends.
RowReader* make_row_reader(const Log& log, TupleDesc descriptor);

// Reads the row of an entry of the log, with its chain columns, into values and nulls. Errors
// unless that row has exactly the payload that the entry has.
void read_row(RowReader* reader, const BundledEntry& entry);

}  // namespace auditchain::pg
