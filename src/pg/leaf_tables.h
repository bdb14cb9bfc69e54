// The tables that hold a log's entries, open for parallel work on all of them.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

struct Leaves {
    Relation* tables;
    int count;
};

// Opens and locks them; what is closed stays locked to the end of the transaction.
Leaves open_leaves(const Log& log);
void close_leaves(const Leaves& leaves);

// Whether each has its index on (chain_id, chain_position).
bool have_position_indexes(const Leaves& leaves);

// How many workers the planner would give to a parallel sequential scan of them; 0 in a worker.
int worker_count(const Leaves& leaves);

}  // namespace auditchain::pg
