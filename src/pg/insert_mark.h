// Whether the row that a BEFORE trigger saw last was inserted, by the statistics that PostgreSQL
// keeps of every (sub)transaction's work on a table: cheaper than to look for the row.
#pragma once

#include "pg/chain.h"

namespace auditchain::pg {

// The state of the counters before the row that is about to be inserted into `leaf`.
InsertMark insert_mark(Relation leaf);

// True only if exactly one row came in since the mark, in the same subtransaction. False means
// nothing: the counters may be off (track_counts), or have been merged.
bool was_inserted(const InsertMark& mark, Relation leaf);

}  // namespace auditchain::pg
