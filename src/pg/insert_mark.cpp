#include "pg/insert_mark.h"

extern "C" {
#include <pgstat.h>
}

namespace auditchain::pg {
namespace {

// Rows inserted by the current subtransaction, less those it took back: a row that ON CONFLICT
// drops late counts as deleted. PostgreSQL's pgstat_relation.c counts each heap_insert.
std::int64_t rows_inserted(Relation leaf) {
    if (leaf->pgstat_info == nullptr || leaf->pgstat_info->trans == nullptr ||
        leaf->pgstat_info->trans->nest_level != GetCurrentTransactionNestLevel()) {
        return 0;
    }
    return leaf->pgstat_info->trans->tuples_inserted - leaf->pgstat_info->trans->tuples_deleted;
}

}  // namespace

InsertMark insert_mark(Relation leaf) {
    return {GetCurrentSubTransactionId(), rows_inserted(leaf)};
}

bool was_inserted(const InsertMark& mark, Relation leaf) {
    return mark.subtransaction == GetCurrentSubTransactionId() &&
           rows_inserted(leaf) == mark.inserted + 1;
}

}  // namespace auditchain::pg
