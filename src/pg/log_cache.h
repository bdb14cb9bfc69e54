// Logs and row plans kept for the life of the backend, dropped when the table or the log changes.
#pragma once

#include "pg/payload.h"
#include "pg/personal_fields.h"

namespace auditchain::pg {

struct CachedLog {
    Oid relation;  // the log or one of its partitions
    Oid root;
    bool valid;
    MemoryContext context;  // of all below
    const Log* log;         // nullptr: no log
    bool operations;        // it is the log of operations
    TupleDesc descriptor;
    RowPlan* plan;
    PersonalPlan* personal;  // nullptr: the log has no personal fields
};

// The log that a table or partition belongs to, with the plan of that table's own rows; an error
// when it belongs to none. Valid until the next call for the same table.
CachedLog& require_cached_log(Oid relation);

void init_log_cache();

}  // namespace auditchain::pg
