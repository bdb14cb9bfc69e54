#include "pg/cold_table.h"

#include "pg/guard.h"

extern "C" {
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/namespace.h>
#include <executor/executor.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/ruleutils.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

// "name type COLLATE …" for each column, as the log has it: in the cold table under its member.
void append_columns(StringInfo sql, const Log& log) {
    auto append = [&](const char* column, const char* name) {
        AttrNumber attnum = get_attnum(log.relation, column);
        Oid type;
        std::int32_t typmod;
        Oid collation;
        get_atttypetypmodcoll(log.relation, attnum, &type, &typmod, &collation);
        appendStringInfo(sql, "%s%s %s", sql->len > 0 ? ", " : "", quote_identifier(name),
                         format_type_extended(
                             type, typmod, FORMAT_TYPE_TYPEMOD_GIVEN | FORMAT_TYPE_FORCE_QUALIFY));
        if (OidIsValid(collation) && collation != get_typcollation(type)) {
            appendStringInfo(sql, " COLLATE %s", generate_collation_name(collation));
        }
    };
    for (const LogColumn& column : log.columns) {
        append(NameStr(column.name), member_text(column));
    }
    for (const char* own : own_columns(log.receipts)) {
        append(own, own);
    }
}

// Whether the table has the log's columns as they are now, and no others.
bool fits(const Log& log, Oid table) {
    const Log& cold = cold_log(log, table);
    Relation relation = table_open(table, AccessShareLock);
    int count = 0;
    for (int i = 0; i < RelationGetDescr(relation)->natts; i++) {
        count += !TupleDescAttr(RelationGetDescr(relation), i)->attisdropped;
    }
    table_close(relation, NoLock);
    StringInfoData wanted;
    StringInfoData present;
    initStringInfo(&wanted);
    initStringInfo(&present);
    std::size_t own = own_columns(log.receipts).size();
    if (static_cast<std::size_t>(count) != log.columns.size() + own) {
        return false;
    }
    for (const LogColumn& column : cold.columns) {
        if (get_attnum(table, NameStr(column.name)) == InvalidAttrNumber) {
            return false;
        }
    }
    append_columns(&wanted, log);
    append_columns(&present, cold);
    return strcmp(wanted.data, present.data) == 0;
}

// Those the log has in the schema already, the newest first.
Oid find_cold_table(const Log& log, Oid schema) {
    query_catalog(
        "SELECT a.relation::oid FROM auditchain.archive_table AS a "
        "JOIN pg_class AS c ON c.oid = a.relation WHERE log_id = $1 AND relnamespace = $2 "
        "ORDER BY a.relation::oid DESC",
        {uuid_arg(log.id), {OIDOID, ObjectIdGetDatum(schema)}});
    SPITupleTable* rows = SPI_tuptable;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        Oid table = DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        if (fits(log, table)) {
            return table;
        }
    }
    return InvalidOid;
}

// The log's name or, where that is taken, the same with a number.
const char* free_name(const Log& log, Oid schema) {
    const char* name = get_rel_name(log.relation);
    const char* candidate = name;
    for (int number = 2; OidIsValid(get_relname_relid(candidate, schema)); number++) {
        const char* suffix = psprintf("_%d", number);
        int length = pg_mbcliplen(name, static_cast<int>(strlen(name)),
                                  NAMEDATALEN - 1 - static_cast<int>(strlen(suffix)));
        candidate = psprintf("%.*s%s", length, name, suffix);
    }
    return candidate;
}

Oid make_cold_table(const Log& log, Oid schema) {
    const char* name = free_name(log, schema);
    const char* qualified = quote_qualified_identifier(get_namespace_name(schema), name);
    SPI_execute(psprintf("CREATE TABLE %s (%s, UNIQUE (chain_id, chain_position))", qualified,
                         cold_columns(log)),
                false, 0);
    Oid table = get_relname_relid(name, schema);
    SPI_execute(psprintf("COMMENT ON TABLE %s IS %s", qualified,
                         quote_literal_cstr(psprintf("Archived entries of the log %s",
                                                     qualified_name(log.relation)))),
                false, 0);
    install_archive_guard(table);
    change_catalog("INSERT INTO auditchain.archive_table (relation, log_id) VALUES ($1, $2)",
                   {{REGCLASSOID, ObjectIdGetDatum(table)}, uuid_arg(log.id)});
    return table;
}

int source_of(const EntryScan& scan, TupleDesc rows, const char* name) {
    const char* column = name;
    for (const LogColumn& candidate : scan.log->columns) {
        if (strcmp(member_text(candidate), name) == 0) {
            column = NameStr(candidate.name);
        }
    }
    for (int i = 2; i < rows->natts; i++) {  // behind tableoid and ctid
        if (namestrcmp(&TupleDescAttr(rows, i)->attname, column) == 0) {
            return i;
        }
    }
    elog(ERROR, "column \"%s\" of a cold table has no counterpart", name);
}

}  // namespace

const Log& cold_log(const Log& log, Oid table) {
    auto* cold = static_cast<Log*>(palloc(sizeof(Log)));
    *cold = log;
    cold->relation = table;
    auto* columns = static_cast<LogColumn*>(palloc0(sizeof(LogColumn) * (log.columns.size() + 1)));
    for (std::size_t i = 0; i < log.columns.size(); i++) {
        columns[i] = log.columns[i];
        namestrcpy(&columns[i].name, member_text(log.columns[i]));
    }
    cold->columns = {columns, log.columns.size()};
    return *cold;
}

Oid require_cold_table(const Log& log, const char* schema) {
    Oid schema_oid = get_namespace_oid(schema, false);
    Oid table = find_cold_table(log, schema_oid);
    return OidIsValid(table) ? table : make_cold_table(log, schema_oid);
}

const char* cold_columns(const Log& log) {
    StringInfoData columns;
    initStringInfo(&columns);
    append_columns(&columns, log);
    return columns.data;
}

ColdWriter open_cold_writer(Oid table, const EntryScan& scan) {
    ColdWriter writer = {};
    writer.table = table_open(table, RowExclusiveLock);
    writer.slot = table_slot_create(writer.table, nullptr);
    writer.estate = CreateExecutorState();
    writer.result = makeNode(ResultRelInfo);
    InitResultRelInfo(writer.result, writer.table, 0, nullptr, 0);
    writer.result->ri_TrigDesc = nullptr;  // the guard's, which refuse all
    ExecOpenIndices(writer.result, false);
    TupleDesc descriptor = RelationGetDescr(writer.table);
    writer.sources = static_cast<int*>(palloc0(descriptor->natts * sizeof(int)));
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        writer.sources[i] = attribute->attisdropped ? -1
                                                    : source_of(scan, scan.portal->tupDesc,
                                                                NameStr(attribute->attname));
    }
    return writer;
}

void write_cold_row(ColdWriter* writer, const EntryScan& scan) {
    TupleTableSlot* slot = ExecClearTuple(writer->slot);
    for (int i = 0; i < slot->tts_tupleDescriptor->natts; i++) {
        int source = writer->sources[i];
        slot->tts_isnull[i] = source < 0 || scan.nulls[source];
        slot->tts_values[i] = source < 0 ? 0 : scan.values[source];
    }
    ExecStoreVirtualTuple(slot);
    ExecSimpleRelationInsert(writer->result, writer->estate, slot);
    ExecClearTuple(slot);
    ResetPerTupleExprContext(writer->estate);
}

void close_cold_writer(ColdWriter* writer) {
    ExecCloseIndices(writer->result);
    ExecDropSingleTupleTableSlot(writer->slot);
    FreeExecutorState(writer->estate);
    table_close(writer->table, NoLock);
    CommandCounterIncrement();
}

struct EntryRemover {
    SPIPlanPtr plan;
    Relation leaf;  // that the last entry was in; nullptr: none yet
};

EntryRemover* open_entry_remover(Oid table) {
    const char* query = psprintf(
        "SELECT tableoid, ctid FROM %s WHERE chain_id OPERATOR(pg_catalog.=) $1 "
        "AND chain_position OPERATOR(pg_catalog.>=) $2 "
        "AND chain_position OPERATOR(pg_catalog.<=) $3",
        from_item(table));
    Oid types[] = {INT4OID, INT8OID, INT8OID};
    auto* remover = static_cast<EntryRemover*>(palloc0(sizeof(EntryRemover)));
    remover->plan = SPI_prepare(query, lengthof(types), types);
    return remover;
}

namespace {

void open_leaf(EntryRemover* remover, Oid leaf) {
    if (remover->leaf != nullptr && RelationGetRelid(remover->leaf) == leaf) {
        return;
    }
    if (remover->leaf != nullptr) {
        table_close(remover->leaf, NoLock);
    }
    remover->leaf = table_open(leaf, RowExclusiveLock);
    CheckCmdReplicaIdentity(remover->leaf, CMD_DELETE);
}

}  // namespace

std::int64_t remove_entries(EntryRemover* remover, const ArchivedRange& range) {
    constexpr long kBatch = 1000;
    Datum arguments[] = {Int32GetDatum(range.chain_id), Int64GetDatum(range.entries.first),
                         Int64GetDatum(range.entries.last)};
    // Read-only, so that it takes the active snapshot.
    Portal rows = SPI_cursor_open(nullptr, remover->plan, arguments, nullptr, true);
    std::int64_t count = 0;
    for (SPI_cursor_fetch(rows, true, kBatch); SPI_processed > 0;
         SPI_cursor_fetch(rows, true, kBatch)) {
        SPITupleTable* batch = SPI_tuptable;
        for (std::uint64_t i = 0; i < batch->numvals; i++) {
            CHECK_FOR_INTERRUPTS();
            bool null;
            HeapTuple row = batch->vals[i];
            open_leaf(remover, DatumGetObjectId(SPI_getbinval(row, batch->tupdesc, 1, &null)));
            simple_table_tuple_delete(remover->leaf,
                                      reinterpret_cast<ItemPointer>(DatumGetPointer(
                                          SPI_getbinval(row, batch->tupdesc, 2, &null))),
                                      GetActiveSnapshot());
            count++;
        }
        SPI_freetuptable(batch);
    }
    SPI_cursor_close(rows);
    return count;
}

void close_entry_remover(EntryRemover* remover) {
    if (remover->leaf != nullptr) {
        table_close(remover->leaf, NoLock);
    }
    SPI_freeplan(remover->plan);
    CommandCounterIncrement();
}

}  // namespace auditchain::pg
