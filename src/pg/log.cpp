#include "pg/log.h"

#include "core/utf16_order.h"
#include "pg/errors.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/partition.h>
#include <catalog/pg_inherits.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/syscache.h>
}

namespace auditchain::pg {
namespace {

std::string_view to_utf8(const char* text) {
    auto length = static_cast<int>(strlen(text));
    const char* utf8 = pg_server_to_any(text, length, PG_UTF8);
    return {pstrdup(utf8)};
}

struct RecordedColumn {
    AttrNumber attnum;
    NameData name;
    const char* member;
    const char* absent;
};

// Value of a result column of the row that SPI holds; palloc'd in the current context.
Datum spi_value(std::uint64_t row, int column, bool* null) {
    return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, null);
}

std::span<RecordedColumn> read_recorded_columns(const pg_uuid_t& log, MemoryContext context) {
    query_catalog(
        "SELECT attnum, column_name, member, absent_value FROM auditchain.log_column "
        "WHERE log_id = $1",
        {uuid_arg(log)});
    MemoryContext spi_context = MemoryContextSwitchTo(context);
    auto* columns =
        static_cast<RecordedColumn*>(palloc0(sizeof(RecordedColumn) * (SPI_processed + 1)));
    for (std::uint64_t row = 0; row < SPI_processed; row++) {
        bool null;
        columns[row].attnum = DatumGetInt16(spi_value(row, 1, &null));
        columns[row].name = *DatumGetName(spi_value(row, 2, &null));
        columns[row].member = TextDatumGetCString(spi_value(row, 3, &null));
        Datum absent = spi_value(row, 4, &null);
        columns[row].absent = null ? nullptr : TextDatumGetCString(absent);
    }
    MemoryContextSwitchTo(spi_context);
    return {columns, SPI_processed};
}

constexpr const char* kOwnColumns[] = {"chain_id", "chain_position", "previous_checksum",
                                       "checksum", "receipt"};

bool is_payload_column(const Log& log, Form_pg_attribute column) {
    return !column->attisdropped && !column->attgenerated &&
           !is_own_column(log.receipts, NameStr(column->attname));
}

// A restored table may number its columns otherwise than the one that was recorded: there the
// current name decides, elsewhere the number, which no renaming touches.
const RecordedColumn* recorded_column(std::span<RecordedColumn> recorded, Form_pg_attribute column,
                                      bool restored) {
    for (const RecordedColumn& candidate : recorded) {
        if (restored
                ? namestrcmp(const_cast<NameData*>(&candidate.name), NameStr(column->attname)) == 0
                : candidate.attnum == column->attnum) {
            return &candidate;
        }
    }
    return nullptr;
}

void require_distinct_members(const Log& log) {
    for (std::size_t i = 1; i < log.columns.size(); i++) {
        if (log.columns[i].member != log.columns[i - 1].member) {
            continue;
        }
        ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("columns \"%s\" and \"%s\" of log \"%s\" have the same name in payloads",
                       NameStr(log.columns[i - 1].name), NameStr(log.columns[i].name),
                       get_rel_name(log.relation)),
                errdetail("A column keeps the name it had when it came under protection."),
                errhint("Rename the newer column before it holds entries, or drop it."));
    }
}

// Matches the table's columns with what the catalog recorded of them.
void match_columns(Log* log, std::span<RecordedColumn> recorded, bool restored) {
    Relation relation = table_open(log->relation, AccessShareLock);
    TupleDesc descriptor = RelationGetDescr(relation);
    auto* columns = static_cast<LogColumn*>(palloc0(sizeof(LogColumn) * (descriptor->natts + 1)));
    std::size_t count = 0;
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(descriptor, i);
        if (!is_payload_column(*log, column)) {
            continue;
        }
        const RecordedColumn* match = recorded_column(recorded, column, restored);
        if (match == nullptr && log->released) {
            continue;  // came after the release, under a name that the payloads have for another
        }
        columns[count++] = {
            .name = column->attname,
            .member = to_utf8(match ? match->member : NameStr(column->attname)),
            .absent = match && match->absent ? to_utf8(match->absent).data() : nullptr,
        };
    }
    table_close(relation, AccessShareLock);
    log->columns = {columns, count};
    std::sort(log->columns.begin(), log->columns.end(), [](const LogColumn& a, const LogColumn& b) {
        return compare_utf16(a.member, b.member) < 0;
    });
    require_distinct_members(*log);
}

std::span<const std::string_view> read_chain_by(ArrayType* members) {
    Datum* values;
    int count;
    deconstruct_array(members, TEXTOID, -1, false, TYPALIGN_INT, &values, nullptr, &count);
    auto* names = static_cast<std::string_view*>(palloc0(sizeof(std::string_view) * (count + 1)));
    for (int i = 0; i < count; i++) {
        names[i] = to_utf8(TextDatumGetCString(values[i]));
    }
    return {names, static_cast<std::size_t>(count)};
}

}  // namespace

std::span<const char* const> own_columns(bool receipts) {
    return {kOwnColumns, std::size(kOwnColumns) - (receipts ? 0 : 1)};
}

bool is_own_column(bool receipts, const char* name) {
    std::span<const char* const> columns = own_columns(receipts);
    return std::any_of(columns.begin(), columns.end(),
                       [name](const char* own) { return strcmp(own, name) == 0; });
}

const Log* read_log(Oid relation) {
    MemoryContext context = CurrentMemoryContext;
    Oid root = partition_root(relation);
    SPI_connect();
    query_catalog(
        "SELECT log_id, relation_oid <> relation::oid OR recorded_in <> $2, lanes, "
        "released_at IS NOT NULL, mapping, chain_by, receipts FROM auditchain.log WHERE relation = "
        "$1",
        {{REGCLASSOID, ObjectIdGetDatum(root)}, text_arg(this_database())});
    if (SPI_processed == 0) {
        SPI_finish();
        return nullptr;
    }
    MemoryContext spi_context = MemoryContextSwitchTo(context);
    auto* log = static_cast<Log*>(palloc0(sizeof(Log)));
    bool null;
    log->relation = root;
    log->id = *DatumGetUUIDP(spi_value(0, 1, &null));
    log->id_text = DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&log->id)));
    bool restored = DatumGetBool(spi_value(0, 2, &null));
    log->lanes = DatumGetInt32(spi_value(0, 3, &null));
    log->released = DatumGetBool(spi_value(0, 4, &null));
    log->mapping = DatumGetJsonbPCopy(spi_value(0, 5, &null));
    log->chain_by = read_chain_by(DatumGetArrayTypePCopy(spi_value(0, 6, &null)));
    log->receipts = DatumGetBool(spi_value(0, 7, &null));
    MemoryContextSwitchTo(spi_context);
    std::span<RecordedColumn> recorded = read_recorded_columns(log->id, context);
    SPI_finish();
    match_columns(log, recorded, restored);
    return log;
}

const Log& require_log(Oid relation) {
    const Log* log = read_log(relation);
    if (log == nullptr) {
        const char* name = get_rel_name(relation);
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                name ? errmsg("\"%s\" is not a log", name)
                     : errmsg("relation with OID %u does not exist", relation),
                errdetail("The catalog of auditchain has no log of this table."),
                errhint("SELECT auditchain.protect('table') protects a table; "
                        "the view auditchain.logs lists the logs."));
    }
    return *log;
}

Oid partition_root(Oid relation) {
    if (!get_rel_relispartition(relation)) {
        return relation;
    }
    List* ancestors = get_partition_ancestors(relation);
    return ancestors == NIL ? relation : llast_oid(ancestors);
}

List* log_leaves(Oid relation) {
    if (get_rel_relkind(relation) != RELKIND_PARTITIONED_TABLE) {
        return list_make1_oid(relation);
    }
    List* leaves = NIL;
    ListCell* cell;
    foreach (cell, find_all_inheritors(relation, AccessShareLock, nullptr)) {
        if (get_rel_relkind(lfirst_oid(cell)) == RELKIND_RELATION) {
            leaves = lappend_oid(leaves, lfirst_oid(cell));
        }
    }
    return leaves;
}

char* qualified_name(Oid relation) {
    return quote_qualified_identifier(get_namespace_name(get_rel_namespace(relation)),
                                      get_rel_name(relation));
}

char* from_item(Oid table) {
    bool partitioned = get_rel_relkind(table) == RELKIND_PARTITIONED_TABLE;
    return psprintf("%s%s", partitioned ? "" : "ONLY ", qualified_name(table));
}

const LogColumn* find_column(const Log& log, const char* name) {
    for (const LogColumn& column : log.columns) {
        if (strcmp(NameStr(column.name), name) == 0) {
            return &column;
        }
    }
    return nullptr;
}

const char* member_text(const LogColumn& column) {
    return pg_any_to_server(column.member.data(), static_cast<int>(column.member.size()), PG_UTF8);
}

Oid relation_owner(Oid relation) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(relation));
    if (!HeapTupleIsValid(tuple)) {
        elog(ERROR, "cache lookup failed for relation %u", relation);
    }
    Oid owner = reinterpret_cast<Form_pg_class>(GETSTRUCT(tuple))->relowner;
    ReleaseSysCache(tuple);
    return owner;
}

void require_owner(Oid relation) {
    if (!compat::owns_relation(relation, GetUserId())) {
        aclcheck_error(ACLCHECK_NOT_OWNER, get_relkind_objtype(get_rel_relkind(relation)),
                       get_rel_name(relation));
    }
}

}  // namespace auditchain::pg
