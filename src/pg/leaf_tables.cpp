#include "pg/leaf_tables.h"

#include "pg/guard.h"

extern "C" {
#include <access/parallel.h>
#include <access/table.h>
#include <access/xact.h>
#include <optimizer/cost.h>
#include <optimizer/optimizer.h>
#include <optimizer/paths.h>
#include <storage/bufmgr.h>
}

namespace auditchain::pg {

Leaves open_leaves(const Log& log) {
    List* relations = log_leaves(log.relation);
    Leaves leaves = {
        static_cast<Relation*>(palloc(sizeof(Relation) * (list_length(relations) + 1))), 0};
    ListCell* cell;
    foreach (cell, relations) {
        leaves.tables[leaves.count++] = table_open(lfirst_oid(cell), AccessShareLock);
    }
    return leaves;
}

void close_leaves(const Leaves& leaves) {
    for (int i = 0; i < leaves.count; i++) {
        table_close(leaves.tables[i], NoLock);
    }
}

bool have_position_indexes(const Leaves& leaves) {
    return std::all_of(leaves.tables, leaves.tables + leaves.count, has_position_index);
}

// compute_parallel_worker in optimizer/path/allpaths.c: the first from min_parallel_table_scan_size
// on, another at each three times of that.
int worker_count(const Leaves& leaves) {
    if (IsInParallelMode()) {
        return 0;
    }
    double blocks = 0;
    int wanted = -1;  // the storage parameter parallel_workers
    for (int i = 0; i < leaves.count; i++) {
        blocks += RelationGetNumberOfBlocks(leaves.tables[i]);
        wanted = std::max(wanted, RelationGetParallelWorkers(leaves.tables[i], -1));
    }
    if (wanted < 0) {
        wanted = 0;
        double threshold = std::max(min_parallel_table_scan_size, 1);
        for (; blocks >= threshold && wanted < max_parallel_workers_per_gather; threshold *= 3) {
            wanted++;
        }
    }
    return std::min(wanted, max_parallel_workers_per_gather);
}

}  // namespace auditchain::pg
