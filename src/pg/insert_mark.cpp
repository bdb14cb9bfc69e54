#include "pg/insert_mark.h"

extern "C" {
#include <pgstat.h>
}

namespace auditchain::pg {
namespace {

// Rows inserted by the current subtransaction, less those it took back: a row that ON CONFLICT
// drops late counts as deleted. PostgreSQL's pgstat_relation.c counts each heap_insert.
std::int64_t rows_inserted(Relation leaf) {
    PgStat_TableXactStatus* counts = leaf->pgstat_info->trans;
    if (counts == nullptr || counts->nest_level != GetCurrentTransactionNestLevel()) {
        return 0;
    }
    return counts->tuples_inserted - counts->tuples_deleted;
}

}  // namespace

InsertMark insert_mark(Relation leaf) {
    // A relation that was just opened anew finds its counters only when asked for them.
    if (!pgstat_should_count_relation(leaf)) {
        return {InvalidSubTransactionId, 0};
    }
    return {GetCurrentSubTransactionId(), rows_inserted(leaf)};
}

bool was_inserted(const InsertMark& mark, Relation leaf) {
    return mark.subtransaction == GetCurrentSubTransactionId() &&
           pgstat_should_count_relation(leaf) && rows_inserted(leaf) == mark.inserted + 1;
}

}  // namespace auditchain::pg
