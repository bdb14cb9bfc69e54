// Tables that become part of a log: its new partitions, and what may not.

#include "pg/guard.h"
#include "pg/guard_ddl.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/pg_inherits.h>
#include <executor/spi.h>
#include <executor/tuptable.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

bool has_rows(Relation table) {
    Snapshot snapshot = RegisterSnapshot(GetLatestSnapshot());
    TupleTableSlot* slot = table_slot_create(table, nullptr);
    TableScanDesc scan = table_beginscan(table, snapshot, 0, nullptr);
    bool found = table_scan_getnextslot(scan, ForwardScanDirection, slot);
    table_endscan(scan);
    ExecDropSingleTupleTableSlot(slot);
    UnregisterSnapshot(snapshot);
    return found;
}

void require_suitable_partition(const char* command, Oid log, Relation partition) {
    char kind = partition->rd_rel->relkind;
    const char* name = qualified_name(RelationGetRelid(partition));
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE) {
        refuse_ddl(command, log,
                   psprintf("%s is a foreign table: its entries would be outside the guard.", name),
                   "Use an ordinary table as the partition.");
    }
    if (partition->rd_rel->relpersistence != RELPERSISTENCE_PERMANENT) {
        refuse_ddl(command, log,
                   psprintf("%s is unlogged, and would lose its entries in a crash.", name),
                   "ALTER TABLE … SET LOGGED makes an unlogged table permanent.");
    }
    if (kind == RELKIND_RELATION && has_rows(partition)) {
        refuse_ddl(command, log, psprintf("%s holds rows that are in no chain.", name),
                   "Attach it empty, then INSERT its rows.");
    }
}

// Row triggers came with the partition, but a clone may lack ENABLE ALWAYS.
void require_always(Oid table) {
    query_catalog(
        "SELECT tgname FROM pg_trigger WHERE tgrelid = $1 AND tgenabled = 'O' AND tgname IN "
        "('zz_auditchain_chain', 'auditchain_guard_row', 'auditchain_guard_statement')",
        {{OIDOID, ObjectIdGetDatum(table)}});
    SPITupleTable* rows = SPI_tuptable;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        SPI_execute(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", qualified_name(table),
                             SPI_getvalue(rows->vals[i], rows->tupdesc, 1)),
                    false, 0);
    }
}

}  // namespace

void guard_new_partition(const char* command, Oid log, Oid partition) {
    ListCell* cell;
    foreach (cell, log_tables(partition, AccessShareLock)) {
        Oid table = lfirst_oid(cell);
        Relation relation = table_open(table, AccessShareLock);
        require_suitable_partition(command, log, relation);
        table_close(relation, NoLock);
        install_guard(table);
        require_always(table);
    }
}

void refuse_inheritance(const char* command, Oid relation) {
    if (get_rel_relispartition(relation) || !has_superclass(relation)) {
        return;
    }
    query_catalog(
        "SELECT l.relation::oid FROM pg_inherits i "
        "JOIN auditchain.log l ON l.relation IN (i.inhrelid, i.inhparent) "
        "WHERE i.inhrelid = $1 AND l.released_at IS NULL LIMIT 1",
        {{OIDOID, ObjectIdGetDatum(relation)}});
    if (SPI_processed > 0) {
        bool null;
        Oid log =
            DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
        refuse_ddl(command, log,
                   "With inheritance, rows of one table show up in another, outside any chain.");
    }
}

}  // namespace auditchain::pg
