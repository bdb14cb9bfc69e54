// Whether the row that a BEFORE trigger saw last was inserted, by the statistics that PostgreSQL
// keeps of every (sub)transaction's work on a table: cheaper than to look for the row.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <access/xact.h>
#include <utils/rel.h>
}

namespace auditchain::pg {

// How many rows a subtransaction had inserted into a table when another was on its way there.
struct InsertMark {
    SubTransactionId subtransaction;  // invalid: rows are not counted
    std::int64_t inserted;
};

// The state of the counters before the row that is about to be inserted into `leaf`.
InsertMark insert_mark(Relation leaf);

// True only if exactly one row came in since the mark, in the same subtransaction: ask before the
// next row is on its way. False means nothing: the counters may be off (track_counts), or merged.
bool was_inserted(const InsertMark& mark, Relation leaf);

}  // namespace auditchain::pg
