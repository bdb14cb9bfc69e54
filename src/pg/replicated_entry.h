// Entries that logical replication brings: already chained, checked instead of chained anew.
#pragma once

#include "pg/chain_row.h"
#include "pg/payload.h"

extern "C" {
#include <executor/tuptable.h>
}

namespace auditchain::pg {

// Whether the row comes from a publisher's log, by logical replication and with its place.
bool is_replicated_entry(const RowPlan& plan, const bool* nulls);

// Errors unless the row is the next entry of the chain that it names; begins the chain here when it
// is the first of it. While a table is first copied its rows come in no order, and only each row's
// own checksum is checked: verify() does the rest.
//
// Returns the entry's place with a receipt of this log's own, if it has receipts: that of the
// publisher is of another log, with another identity, and says nothing here.
ChainRow accept_replicated_entry(const Log& log, RowPlan* plan, TupleTableSlot* slot,
                                 Relation leaf);

}  // namespace auditchain::pg
