#include "pg/archive_to_table.h"

#include "pg/errors.h"
#include "pg/verify_archive.h"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {

void take_cold_row(void* state, const EntryScan& scan) {
    auto* copy = static_cast<ColdCopy*>(state);
    if (!OidIsValid(copy->table)) {
        copy->table = require_cold_table(*copy->log, copy->schema);
        copy->writer = open_cold_writer(copy->table, scan);
    }
    MemoryContext caller = MemoryContextSwitchTo(scan.row_context);
    write_cold_row(&copy->writer, scan);
    MemoryContextSwitchTo(caller);
}

void end_cold_copy(ColdCopy* copy) {
    if (OidIsValid(copy->table)) {
        close_cold_writer(&copy->writer);
    }
}

void require_cold_copy(const ColdCopy& copy, const EntrySelection& selected) {
    ViolationReceiver receiver = {
        [](void* state, const ReportedViolation& violation) {
            ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                    errmsg("what was archived of log \"%s\" is not what was written",
                           get_rel_name(static_cast<const ColdCopy*>(state)->log->relation)),
                    errdetail("Chain %s, position %lld: %s.", violation.chain,
                              static_cast<long long>(violation.position), violation.detail),
                    errhint("Nothing has been changed. Look for triggers and errors of storage."));
        },
        const_cast<ColdCopy*>(&copy)};
    ArchivedCheck check = check_archived_entries(*copy.log, selected.archive, copy.table, receiver);
    if (check.entries != selected.entries) {
        elog(ERROR, "%lld entries were archived, and %lld read again",
             static_cast<long long>(selected.entries), static_cast<long long>(check.entries));
    }
}

}  // namespace auditchain::pg
