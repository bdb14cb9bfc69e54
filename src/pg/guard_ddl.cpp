// The guard over DDL: event triggers that keep the catalog in step with a log's table, and refuse
// what would change the payload of chained entries or take entries out.
//
// Not refused: to disable or drop the guard's triggers or the position index. That turns the guard
// off, as an owner or superuser can; the next verification reports it as guard_disabled.

#include "pg/guard_ddl.h"

#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/head_cache.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/namespace.h>
#include <catalog/pg_event_trigger.h>
#include <commands/tablecmds.h>
#include <commands/trigger.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
}

namespace auditchain::pg {

namespace {

bool logs_exist() {
    Oid schema = get_namespace_oid("auditchain", true);
    Oid catalog = OidIsValid(schema) ? get_relname_relid("log", schema) : InvalidOid;
    if (!OidIsValid(catalog)) {
        return false;
    }
    Relation logs = table_open(catalog, AccessShareLock);
    SysScanDesc scan = systable_beginscan(logs, InvalidOid, false, SnapshotSelf, 0, nullptr);
    bool found = HeapTupleIsValid(systable_getnext(scan));
    systable_endscan(scan);
    table_close(logs, AccessShareLock);
    return found;
}

}  // namespace

const EventTriggerData* guarded_event(FunctionCallInfo fcinfo) {
    if (!CALLED_AS_EVENT_TRIGGER(fcinfo)) {
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_EVENT_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("auditchain's guard of DDL is called by event triggers only"));
    }
    return IsBinaryUpgrade || !logs_exist() ? nullptr
                                            : reinterpret_cast<EventTriggerData*>(fcinfo->context);
}

bool find_guarded_log(Oid relation, GuardedLog* log) {
    log->relation = partition_root(relation);
    // A restore that is under way may not have loaded the columns yet.
    query_catalog(
        "SELECT log_id, released_at IS NOT NULL, relation_oid = relation::oid AND recorded_in = $2 "
        "AND "
        "EXISTS (SELECT FROM auditchain.log_column c WHERE c.log_id = l.log_id), receipts "
        "FROM auditchain.log l WHERE relation = $1",
        {{REGCLASSOID, ObjectIdGetDatum(log->relation)}, text_arg(this_database())});
    if (SPI_processed == 0) {
        return false;
    }
    HeapTuple row = SPI_tuptable->vals[0];
    TupleDesc descriptor = SPI_tuptable->tupdesc;
    bool null;
    log->id = *DatumGetUUIDP(SPI_getbinval(row, descriptor, 1, &null));
    log->released = DatumGetBool(SPI_getbinval(row, descriptor, 2, &null));
    log->recorded = DatumGetBool(SPI_getbinval(row, descriptor, 3, &null));
    log->receipts = DatumGetBool(SPI_getbinval(row, descriptor, 4, &null));
    return true;
}

bool is_protected(Oid relation) {
    GuardedLog log;
    return find_guarded_log(relation, &log) && !log.released;
}

void refuse_ddl(const char* command, Oid log, const char* detail, const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_HARMFUL_DDL),
            errmsg("%s refused: log \"%s\" is append-only", command, get_rel_name(log)),
            errdetail("%s", detail),
            hint != nullptr ? errhint("%s", hint)
                            : errhint("SELECT auditchain.release('%s', 'reason') ends protection.",
                                      qualified_name(log)));
    pg_unreachable();
}

const char* idle_event_trigger() {
    for (const char* name :
         {"auditchain_ddl_start", "auditchain_ddl_end", "auditchain_drop", "auditchain_rewrite"}) {
        HeapTuple tuple = SearchSysCache1(EVENTTRIGGERNAME, CStringGetDatum(name));
        bool always = HeapTupleIsValid(tuple) &&
                      reinterpret_cast<Form_pg_event_trigger>(GETSTRUCT(tuple))->evtenabled ==
                          TRIGGER_FIRES_ALWAYS;
        if (HeapTupleIsValid(tuple)) {
            ReleaseSysCache(tuple);
        }
        if (!always) {
            return name;
        }
    }
    return nullptr;
}

namespace {

// Before the command, because DETACH … CONCURRENTLY commits midway and a type is gone afterwards.
void check_alteration(const char* command, Oid table, const AlterTableCmd* alteration) {
    GuardedLog log;
    if (!find_guarded_log(table, &log) || log.released) {
        return;
    }
    if (alteration->subtype == AT_DetachPartition) {
        refuse_ddl(command, log.relation,
                   "DETACH PARTITION would take entries out of their chains.");
    }
    if (alteration->subtype == AT_DropExpression &&
        get_attgenerated(table, get_attnum(table, alteration->name)) != '\0') {
        refuse_ddl(command, log.relation,
                   psprintf("Column \"%s\" is generated, and so in no payload; as an ordinary "
                            "column it would be in that of every entry.",
                            alteration->name),
                   "Add an ordinary column beside it.");
    }
    require_same_bytes(command, log.relation, table, alteration);
}

void check_alter_table(const char* command, AlterTableStmt* statement) {
    ListCell* cell;
    foreach (cell, statement->cmds) {
        auto* alteration = static_cast<AlterTableCmd*>(lfirst(cell));
        if (alteration->subtype != AT_DetachPartition &&
            alteration->subtype != AT_AlterColumnType && alteration->subtype != AT_DropExpression) {
            continue;
        }
        // With the lock of the command itself, and its check of the user's rights, so that the name
        // means the same table then.
        Oid table = AlterTableLookupRelation(statement, AlterTableGetLockLevel(statement->cmds));
        if (OidIsValid(table)) {
            check_alteration(command, table, alteration);
        }
    }
}

bool creates_plain_table(Node* parsetree) {
    if (!IsA(parsetree, CreateStmt)) {
        return false;
    }
    auto* statement = castNode(CreateStmt, parsetree);
    return statement->inhRelations == NIL && statement->partbound == nullptr;
}

struct Touched {
    Oid relation;
    bool created;
};

// The relations that the command worked on, for a trigger or rule its table.
List* touched_relations() {
    MemoryContext context = CurrentMemoryContext;
    query_catalog(
        "SELECT DISTINCT relation, created FROM (SELECT CASE classid "
        "  WHEN 'pg_trigger'::regclass THEN (SELECT tgrelid FROM pg_trigger t WHERE t.oid = objid) "
        "  WHEN 'pg_rewrite'::regclass THEN (SELECT ev_class FROM pg_rewrite r WHERE r.oid = objid)"
        "  WHEN 'pg_class'::regclass THEN objid END AS relation, "
        "  command_tag IN ('CREATE TABLE', 'CREATE FOREIGN TABLE') AS created "
        "FROM pg_event_trigger_ddl_commands()) AS touched WHERE relation IS NOT NULL",
        {});
    SPITupleTable* rows = SPI_tuptable;
    List* relations = NIL;
    MemoryContext spi_context = MemoryContextSwitchTo(context);
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        auto* touched = static_cast<Touched*>(palloc(sizeof(Touched)));
        touched->relation = DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        touched->created = DatumGetBool(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &null));
        relations = lappend(relations, touched);
    }
    MemoryContextSwitchTo(spi_context);
    SPI_freetuptable(rows);
    return relations;
}

void require_harmless_rules(const char* command, Oid log, Relation table) {
    if (table->rd_rel->relhasrules && table->rd_rules != nullptr) {
        refuse_ddl(command, log, "A rule could turn an INSERT into something else, or nothing.",
                   "Use an AFTER trigger.");
    }
}

// A table of the log, after whatever the command did to it.
void check_table(const char* command, Oid log, Oid table) {
    Relation relation = table_open(table, AccessShareLock);
    require_harmless_rules(command, log, relation);
    require_chain_trigger_last(relation);
    table_close(relation, NoLock);
}

void after_command(const char* command, const Touched& touched) {
    char kind = get_rel_relkind(touched.relation);
    if (kind != RELKIND_RELATION && kind != RELKIND_PARTITIONED_TABLE &&
        kind != RELKIND_FOREIGN_TABLE) {
        return;
    }
    refuse_inheritance(command, touched.relation);
    GuardedLog log;
    if (!find_guarded_log(touched.relation, &log) || !log.recorded) {
        return;
    }
    // The command may have let somebody at the entries behind the writers' backs.
    forget_cached_heads(log.id);
    sync_columns(command, log);
    if (log.released) {
        return;
    }
    require_own_columns(command, log);
    if (touched.created) {
        guard_new_partition(command, log.relation, touched.relation);
    }
    check_table(command, log.relation, touched.relation);
}

// ALTER TABLE … ATTACH PARTITION names the partition only in its text; the command holds its lock.
Oid attached_partition(Node* parsetree) {
    if (!IsA(parsetree, AlterTableStmt)) {
        return InvalidOid;
    }
    auto* statement = castNode(AlterTableStmt, parsetree);
    auto* first = static_cast<AlterTableCmd*>(linitial(statement->cmds));
    if (statement->objtype != OBJECT_TABLE || first->subtype != AT_AttachPartition) {
        return InvalidOid;
    }
    return RangeVarGetRelid(castNode(PartitionCmd, first->def)->name, NoLock, true);
}

void after_attach(const char* command, Oid partition) {
    // A log itself cannot be a partition: its name in receipts and proofs is its own.
    query_catalog("SELECT FROM auditchain.log WHERE relation = $1 AND released_at IS NULL",
                  {{REGCLASSOID, ObjectIdGetDatum(partition)}});
    if (SPI_processed > 0) {
        refuse_ddl(command, partition, "A log cannot become a partition of another table.");
    }
    GuardedLog log;
    if (!find_guarded_log(partition, &log) || log.released || !log.recorded) {
        return;
    }
    guard_new_partition(command, log.relation, partition);
    ListCell* cell;
    foreach (cell, log_tables(partition, AccessShareLock)) {
        check_table(command, log.relation, lfirst_oid(cell));
    }
}

void check_rewrite(const char* command, Oid table, int reason) {
    GuardedLog log;
    if (!find_guarded_log(table, &log) || log.released || !log.recorded) {
        return;
    }
    if (reason & AT_REWRITE_ALTER_PERSISTENCE) {
        refuse_ddl(command, log.relation, "An unlogged table loses its entries in a crash.");
    }
    if (reason & AT_REWRITE_COLUMN_REWRITE) {
        refuse_ddl(command, log.relation,
                   "Another type would change the payload of chained entries.",
                   "Add a column of the other type.");
    }
    if (const char* column = new_column_with_default(log)) {
        refuse_ddl(
            command, log.relation,
            psprintf("The default of column \"%s\" would be written into chained entries.", column),
            "Add the column without a default, in a command of its own; then ALTER COLUMN … SET "
            "DEFAULT.");
    }
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// Event trigger ddl_command_start.
AUDITCHAIN_FUNCTION(auditchain_guard_ddl_start) {
    if (const EventTriggerData* event = guarded_event(fcinfo)) {
        SPI_connect();
        adopt_restored_logs();
        if (IsA(event->parsetree, AlterTableStmt)) {
            check_alter_table(GetCommandTagName(event->tag),
                              castNode(AlterTableStmt, event->parsetree));
        }
        SPI_finish();
    }
    PG_RETURN_NULL();
}

// Event trigger ddl_command_end.
AUDITCHAIN_FUNCTION(auditchain_guard_ddl_end) {
    const EventTriggerData* event = guarded_event(fcinfo);
    if (event == nullptr || creates_plain_table(event->parsetree)) {
        PG_RETURN_NULL();
    }
    const char* command = GetCommandTagName(event->tag);
    SPI_connect();
    refuse_payload_type(command, renamed_type(event->parsetree));
    ListCell* cell;
    foreach (cell, touched_relations()) {
        check_renamed_archive(command, static_cast<Touched*>(lfirst(cell))->relation,
                              event->parsetree);
        after_command(command, *static_cast<Touched*>(lfirst(cell)));
    }
    Oid attached = attached_partition(event->parsetree);
    if (OidIsValid(attached)) {
        after_attach(command, attached);
    }
    SPI_finish();
    PG_RETURN_NULL();
}

// Event trigger table_rewrite: old rows are about to be written anew.
AUDITCHAIN_FUNCTION(auditchain_guard_rewrite) {
    if (const EventTriggerData* event = guarded_event(fcinfo)) {
        Oid table = DatumGetObjectId(OidFunctionCall0(F_PG_EVENT_TRIGGER_TABLE_REWRITE_OID));
        int reason = DatumGetInt32(OidFunctionCall0(F_PG_EVENT_TRIGGER_TABLE_REWRITE_REASON));
        SPI_connect();
        check_rewritten_archive(GetCommandTagName(event->tag), table);
        check_rewrite(GetCommandTagName(event->tag), table, reason);
        SPI_finish();
    }
    PG_RETURN_NULL();
}
