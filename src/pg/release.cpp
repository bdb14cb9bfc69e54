// release(): the recorded way out of protection. The columns and the history stay.

#include "pg/checkpoint.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/log.h"
#include "pg/operations.h"
#include "pg/personal_fields.h"
#include "pg/subtransaction.h"

extern "C" {
#include <access/xact.h>
#include <executor/spi.h>
#include <storage/lmgr.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

using namespace auditchain::pg;

namespace {

// The last checkpoint. A log that is broken can be released nevertheless: then without one.
void seal_if_intact(const Log& log) {
    ErrorData* error = try_in_subtransaction([&] { seal_log(log); });
    if (error == nullptr) {
        return;
    }
    if (error->sqlerrcode != ERRCODE_AC_DAMAGED_LOG) {
        ReThrowError(error);
    }
    ereport(WARNING, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" has no last checkpoint", get_rel_name(log.relation)),
            errdetail("%s", error->detail ? error->detail : error->message),
            errhint("SELECT * FROM auditchain.violations('log') lists all findings."));
}

}  // namespace

// release(log regclass, reason text)
AUDITCHAIN_FUNCTION(auditchain_release) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("log must not be NULL"));
    }
    Oid table = PG_GETARG_OID(0);
    const char* reason = PG_ARGISNULL(1) ? "" : text_to_cstring(PG_GETARG_TEXT_PP(1));
    if (strspn(reason, " \t\r\n") == strlen(reason)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("a log is released for a reason"),
                errdetail("The reason is empty; it is recorded for auditors."),
                errhint("SELECT auditchain.release('log', 'why')"));
    }
    const Log& log = require_log(table);
    require_owner(log.relation);
    if (log.relation == operations_log()) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("the log of operations cannot be released"),
                errdetail("Its entries prove what was archived and held in all other logs."),
                errhint("It ends with the extension."));
    }
    LockRelationOid(log.relation, AccessExclusiveLock);
    if (require_log(table).released) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("log \"%s\" is already released", get_rel_name(log.relation)),
                errdetail("It is no longer protected."),
                errhint("The view auditchain.logs shows when it was released."));
    }

    seal_if_intact(log);
    SPI_connect();
    // First, so that the guard's event triggers do not mend what is taken down.
    change_catalog("UPDATE auditchain.log SET released_at = now() WHERE log_id = $1",
                   {uuid_arg(log.id)});
    record_log_event(log.id, "released", reason);
    List* tables = log_tables(log.relation, AccessExclusiveLock);
    ListCell* cell;
    foreach (cell, tables) {
        remove_guard(lfirst_oid(cell));
        CacheInvalidateRelcacheByRelid(lfirst_oid(cell));
    }
    // Rows that come now are in no chain.
    SPI_execute(psprintf("ALTER TABLE %s ALTER COLUMN chain_id DROP NOT NULL, "
                         "ALTER COLUMN chain_position DROP NOT NULL, "
                         "ALTER COLUMN previous_checksum DROP NOT NULL, "
                         "ALTER COLUMN checksum DROP NOT NULL%s",
                         qualified_name(log.relation),
                         log.receipts ? ", ALTER COLUMN receipt DROP NOT NULL" : ""),
                false, 0);
    if (read_declaration(log).subject != nullptr) {
        ereport(
            NOTICE,
            errmsg("personal fields of log \"%s\" are no longer encrypted",
                   get_rel_name(log.relation)),
            errdetail("What is written from now on stays in clear, and no erasure reaches it."));
    }
    SPI_finish();
    PG_RETURN_VOID();
}
