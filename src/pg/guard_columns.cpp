// Keeping auditchain.log_column in step with the columns of a log.

#include "pg/guard_ddl.h"
#include "pg/payload.h"

extern "C" {
#include <access/table.h>
#include <access/tupdesc_details.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <rewrite/rewriteHandler.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

// JSON of the value that rows older than the column have in it, in the server's encoding as all
// text of the catalog; nullptr when that is NULL.
const char* missing_value(Oid leaf, const char* column) {
    Relation relation = table_open(leaf, AccessShareLock);
    TupleDesc descriptor = RelationGetDescr(relation);
    AttrNumber attnum = get_attnum(leaf, column);
    const char* json = nullptr;
    if (attnum > 0 && descriptor->constr != nullptr && descriptor->constr->missing != nullptr) {
        const AttrMissing& missing = descriptor->constr->missing[attnum - 1];
        if (missing.am_present) {
            char* utf8 =
                value_as_json(TupleDescAttr(descriptor, attnum - 1)->atttypid, missing.am_value);
            json = pg_any_to_server(utf8, static_cast<int>(strlen(utf8)), PG_UTF8);
        }
    }
    table_close(relation, NoLock);
    return json;
}

bool same(const char* left, const char* right) {
    return left == nullptr || right == nullptr ? left == right : strcmp(left, right) == 0;
}

// The default that the column was added with, the same in every partition.
const char* absent_value(const char* command, const GuardedLog& log, const char* column) {
    List* leaves = log_leaves(log.relation);
    const char* absent = nullptr;
    ListCell* cell;
    foreach (cell, leaves) {
        const char* value = missing_value(lfirst_oid(cell), column);
        if (foreach_current_index(cell) > 0 && !same(value, absent)) {
            refuse_ddl(command, log.relation,
                       psprintf("The default of column \"%s\" differs between partitions.", column),
                       "Add the column without a default; then ALTER COLUMN … SET DEFAULT.");
        }
        absent = value;
    }
    return absent;
}

struct NewColumn {
    AttrNumber attnum;
    const char* name;
    bool taken;  // its name is the member of another column
};

// Columns of the table that payloads contain and that are not recorded yet, as palloc'd NewColumns.
List* new_columns(const GuardedLog& log) {
    MemoryContext context = CurrentMemoryContext;
    query_catalog(
        "SELECT a.attnum, a.attname, EXISTS (SELECT FROM auditchain.log_column c "
        "  WHERE c.log_id = $1 AND c.member = a.attname) "
        "FROM pg_attribute a WHERE a.attrelid = $2 AND a.attnum > 0 AND NOT a.attisdropped "
        "AND a.attgenerated = '' AND NOT EXISTS (SELECT FROM auditchain.log_column c "
        "  WHERE c.log_id = $1 AND c.attnum = a.attnum) ORDER BY a.attnum",
        {uuid_arg(log.id), {OIDOID, ObjectIdGetDatum(log.relation)}});
    SPITupleTable* rows = SPI_tuptable;
    MemoryContext spi_context = MemoryContextSwitchTo(context);
    List* columns = NIL;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        auto* column = static_cast<NewColumn*>(palloc(sizeof(NewColumn)));
        bool null;
        column->attnum = DatumGetInt16(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        column->name = SPI_getvalue(rows->vals[i], rows->tupdesc, 2);
        column->taken = DatumGetBool(SPI_getbinval(rows->vals[i], rows->tupdesc, 3, &null));
        if (!is_own_column(log.receipts, column->name)) {
            columns = lappend(columns, column);
        }
    }
    MemoryContextSwitchTo(spi_context);
    SPI_freetuptable(rows);
    return columns;
}

void record_column(const char* command, const GuardedLog& log, const NewColumn& column) {
    if (column.taken) {
        // Where protection is over there is nothing left to refuse.
        if (!log.released) {
            refuse_ddl(command, log.relation,
                       psprintf("\"%s\" is the name that another column, renamed since, has in "
                                "the payloads.",
                                column.name),
                       "Give the new column another name.");
        }
        return;
    }
    change_catalog(
        "INSERT INTO auditchain.log_column (log_id, attnum, column_name, member, absent_value) "
        "VALUES ($1, $2, $3, $3, $4)",
        {uuid_arg(log.id),
         {INT2OID, Int16GetDatum(column.attnum)},
         text_arg(column.name),
         text_arg(absent_value(command, log, column.name))});
}

}  // namespace

void adopt_restored_logs() {
    // Of $1, this database: another one, or an OID of another table, was recorded.
    constexpr const char* kRestored =
        "l.relation IS NOT NULL AND (l.relation::oid <> l.relation_oid OR l.recorded_in <> $1) "
        "AND EXISTS (SELECT FROM auditchain.log_column r WHERE r.log_id = l.log_id)";
    Arg here = text_arg(this_database());
    // Locked, as a parallel restore alters several tables at a time.
    change_catalog(psprintf("SELECT FROM auditchain.log l WHERE %s FOR UPDATE", kRestored), {here});
    if (SPI_processed == 0) {
        return;
    }
    // By way of negative numbers, as the old and the new ones overlap.
    change_catalog(
        psprintf("UPDATE auditchain.log_column c SET attnum = -attnum FROM auditchain.log l "
                 "WHERE c.log_id = l.log_id AND attnum > 0 AND %s",
                 kRestored),
        {here});
    change_catalog(psprintf("UPDATE auditchain.log_column c SET attnum = a.attnum "
                            "FROM auditchain.log l, pg_attribute a "
                            "WHERE c.log_id = l.log_id AND a.attrelid = l.relation "
                            "AND a.attname = c.column_name AND a.attnum > 0 AND %s",
                            kRestored),
                   {here});
    change_catalog(psprintf("UPDATE auditchain.log l SET relation_oid = relation, recorded_in = $1 "
                            "WHERE %s",
                            kRestored),
                   {here});
}

void sync_columns(const char* command, const GuardedLog& log) {
    change_catalog(
        "UPDATE auditchain.log_column c SET column_name = a.attname FROM pg_attribute a "
        "WHERE c.log_id = $1 AND a.attrelid = $2 AND a.attnum = c.attnum "
        "AND NOT a.attisdropped AND a.attname <> c.column_name",
        {uuid_arg(log.id), {OIDOID, ObjectIdGetDatum(log.relation)}});
    bool changed = SPI_processed > 0;
    ListCell* cell;
    foreach (cell, new_columns(log)) {
        record_column(command, log, *static_cast<NewColumn*>(lfirst(cell)));
        changed = true;
    }
    if (changed) {
        CacheInvalidateRelcacheByRelid(log.relation);
    }
}

void require_own_columns(const char* command, const GuardedLog& log) {
    for (const char* own : own_columns(log.receipts)) {
        if (get_attnum(log.relation, own) == InvalidAttrNumber) {
            refuse_ddl(command, log.relation,
                       psprintf("Column \"%s\" holds what auditchain knows of each entry, under "
                                "this name.",
                                own));
        }
    }
}

const char* new_column_with_default(const GuardedLog& log) {
    Relation relation = table_open(log.relation, AccessShareLock);
    const char* name = nullptr;
    ListCell* cell;
    foreach (cell, new_columns(log)) {
        auto* column = static_cast<NewColumn*>(lfirst(cell));
        // The default may be that of a domain; an identity has none before its sequence is there.
        if (TupleDescAttr(RelationGetDescr(relation), column->attnum - 1)->attidentity != '\0' ||
            build_column_default(relation, column->attnum) != nullptr) {
            name = column->name;
            break;
        }
    }
    table_close(relation, NoLock);
    return name;
}

}  // namespace auditchain::pg
