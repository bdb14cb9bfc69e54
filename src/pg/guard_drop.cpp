// The guard over what is dropped, by whatever command: tables, partitions and columns of logs.

#include "pg/errors.h"
#include "pg/guard_ddl.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <catalog/pg_inherits.h>
#include <executor/spi.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

struct Dropped {
    Oid relation;
    const char* column;  // nullptr: all of it
    const char* table;   // its plain name
    const char* name;    // qualified
};

// Tables and columns among the objects that the command dropped.
List* dropped_objects() {
    MemoryContext context = CurrentMemoryContext;
    query_catalog(
        "SELECT objid, CASE WHEN objsubid > 0 THEN address_names[3] END, address_names[2], "
        "object_identity "
        "FROM pg_event_trigger_dropped_objects() "
        "WHERE classid = 'pg_class'::regclass AND NOT is_temporary AND object_type IN "
        "('table', 'table column', 'foreign table', 'composite type column')",
        {});
    SPITupleTable* rows = SPI_tuptable;
    MemoryContext spi_context = MemoryContextSwitchTo(context);
    List* objects = NIL;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        auto* dropped = static_cast<Dropped*>(palloc(sizeof(Dropped)));
        bool null;
        dropped->relation = DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        dropped->column = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
        dropped->table = SPI_getvalue(rows->vals[i], rows->tupdesc, 3);
        dropped->name = SPI_getvalue(rows->vals[i], rows->tupdesc, 4);
        objects = lappend(objects, dropped);
    }
    MemoryContextSwitchTo(spi_context);
    SPI_freetuptable(rows);
    return objects;
}

// The partitioned table that a table which is gone was a partition of: the row of pg_inherits that
// this transaction deleted says so, as long as the transaction lasts.
Oid former_parent(Oid table) {
    Relation inherits = table_open(InheritsRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_inherits_inhrelid, BTEqualStrategyNumber, F_OIDEQ,
                ObjectIdGetDatum(table));
    SysScanDesc scan =
        systable_beginscan(inherits, InheritsRelidSeqnoIndexId, true, SnapshotAny, 1, &key);
    Oid parent = InvalidOid;
    while (HeapTuple tuple = systable_getnext(scan)) {
        bool deleted_here =
            !(tuple->t_data->t_infomask & HEAP_XMAX_INVALID) &&
            TransactionIdIsCurrentTransactionId(HeapTupleHeaderGetUpdateXid(tuple->t_data));
        if (deleted_here) {
            parent = reinterpret_cast<Form_pg_inherits>(GETSTRUCT(tuple))->inhparent;
        }
    }
    systable_endscan(scan);
    table_close(inherits, AccessShareLock);
    return parent;
}

// Topmost table that a dropped table was a partition of; InvalidOid when it was none.
Oid former_root(Oid table) {
    Oid parent = former_parent(table);
    while (OidIsValid(parent) && !get_rel_name(parent)) {
        parent = former_parent(parent);
    }
    return OidIsValid(parent) ? partition_root(parent) : InvalidOid;
}

void check_dropped_table(const char* command, const Dropped& dropped) {
    query_catalog("SELECT released_at IS NULL FROM auditchain.log WHERE relation = $1",
                  {{REGCLASSOID, ObjectIdGetDatum(dropped.relation)}});
    if (SPI_processed > 0) {
        bool null;
        if (DatumGetBool(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null))) {
            ereport(ERROR, errcode(ERRCODE_AC_HARMFUL_DDL),
                    errmsg("%s refused: log \"%s\" is append-only", command, dropped.table),
                    errdetail("All its entries would be gone."),
                    errhint("SELECT auditchain.release('%s', 'reason') ends protection.",
                            dropped.name));
        }
        change_catalog("UPDATE auditchain.log SET relation = NULL WHERE relation = $1",
                       {{REGCLASSOID, ObjectIdGetDatum(dropped.relation)}});
        return;
    }
    Oid root = former_root(dropped.relation);
    if (OidIsValid(root) && is_protected(root)) {
        refuse_ddl(command, root,
                   psprintf("%s is a partition of it: its entries would be gone.", dropped.name));
    }
}

void check_dropped_column(const char* command, const Dropped& dropped) {
    GuardedLog log;
    // A partition loses a column only together with its parent.
    if (find_guarded_log(dropped.relation, &log) && !log.released) {
        query_catalog("SELECT FROM auditchain.log_column WHERE log_id = $1 AND column_name = $2",
                      {uuid_arg(log.id), text_arg(dropped.column)});
        if (SPI_processed > 0) {
            refuse_ddl(
                command, log.relation,
                psprintf("Column \"%s\" is in the payload of chained entries.", dropped.column));
        }
        if (is_own_column(log.receipts, dropped.column)) {
            refuse_ddl(command, log.relation,
                       psprintf("Column \"%s\" holds what auditchain knows of each entry.",
                                dropped.column));
        }
    }
    refuse_payload_type(command, get_rel_type_id(dropped.relation));
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// Event trigger sql_drop.
AUDITCHAIN_FUNCTION(auditchain_guard_drop) {
    const EventTriggerData* event = guarded_event(fcinfo);
    if (event == nullptr) {
        PG_RETURN_NULL();
    }
    const char* command = GetCommandTagName(event->tag);
    SPI_connect();
    ListCell* cell;
    foreach (cell, dropped_objects()) {
        auto* dropped = static_cast<Dropped*>(lfirst(cell));
        check_dropped_archive(command, dropped->relation, dropped->name, dropped->column);
        if (dropped->column == nullptr) {
            check_dropped_table(command, *dropped);
        } else {
            check_dropped_column(command, *dropped);
        }
    }
    SPI_finish();
    PG_RETURN_NULL();
}
