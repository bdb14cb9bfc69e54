#include "pg/entry_scan.h"

#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/chain_row.h"
#include "pg/receipt.h"
#include "pg/table_columns.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rls.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

constexpr long kBatch = 500;

// A row handle: number of the leaf (16 bits), block (32), offset (16).
std::uint64_t row_handle(EntryScan* scan, Oid leaf, ItemPointer tid) {
    int number = 0;
    ListCell* cell;
    foreach (cell, scan->leaves) {
        if (lfirst_oid(cell) == leaf) {
            break;
        }
        number++;
    }
    if (number == list_length(scan->leaves)) {
        scan->leaves = lappend_oid(scan->leaves, leaf);
    }
    return (static_cast<std::uint64_t>(number) << 48) |
           (static_cast<std::uint64_t>(ItemPointerGetBlockNumberNoCheck(tid)) << 16) |
           ItemPointerGetOffsetNumberNoCheck(tid);
}

bool fetch_batch(EntryScan* scan) {
    if (scan->batch != nullptr) {
        SPI_freetuptable(scan->batch);
    }
    SPI_cursor_fetch(scan->portal, true, kBatch);
    scan->batch = SPI_tuptable;
    scan->next = 0;
    return scan->batch->numvals > 0;
}

// What is no checksum (NULL, or of another length) reads as one that nothing hashes to.
Digest read_checksum(const EntryScan& scan, AttrNumber column) {
    Digest digest;
    if (scan.nulls[column - 1] || !read_digest(scan.values[column - 1], &digest)) {
        digest.bytes.fill(0xFF);
    }
    return digest;
}

void read_chain_columns(const EntryScan& scan, ScannedEntry* entry) {
    const RowPlan& plan = *scan.plan;
    entry->in_chain = !scan.nulls[plan.chain_id - 1] && !scan.nulls[plan.chain_position - 1];
    if (entry->in_chain) {
        entry->chain_id = DatumGetInt32(scan.values[plan.chain_id - 1]);
        entry->entry.position = DatumGetInt64(scan.values[plan.chain_position - 1]);
    }
    entry->entry.previous = read_checksum(scan, plan.previous_checksum);
    entry->entry.checksum = read_checksum(scan, plan.checksum);
    entry->has_receipt = plan.receipt != 0 && !scan.nulls[plan.receipt - 1] &&
                         read_receipt(scan.values[plan.receipt - 1], &entry->receipt);
}

}  // namespace

int forbid_row_security() {
    int guc_level = NewGUCNestLevel();
    set_config_option("row_security", "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                      false);
    return guc_level;
}

namespace {

// A snapshot that is older than an archive still sees the entries that were deleted for it, but not
// those whose partitions were dropped.
void require_partitions(const Log& log) {
    constexpr const char* count =
        "SELECT count(*) FROM auditchain.archive WHERE log_id = $1 AND partitions > 0";
    bool null;
    SPI_connect();
    query_catalog(count, {uuid_arg(log.id)});
    Datum now = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    query_catalog_as_seen(count, {uuid_arg(log.id)});
    Datum seen = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    SPI_finish();
    if (now != seen) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("partitions of \"%s\" have been archived since this transaction's snapshot",
                       get_rel_name(log.relation)),
                errdetail("Their entries are seen neither in the log nor in an archive."),
                errhint("Read it in a new transaction."));
    }
}

}  // namespace

void require_visible(const Log& log) {
    if (!log_is_visible(log.id)) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("\"%s\" was no log yet in the snapshot of this transaction",
                       get_rel_name(log.relation)),
                errdetail("It was put under protection after the transaction had begun."),
                errhint("Read it in a new transaction."));
    }
    require_partitions(log);
}

void require_readable(const Log& log) {
    if (pg_class_aclcheck(log.relation, GetUserId(), ACL_SELECT) != ACLCHECK_OK &&
        pg_attribute_aclcheck_all(log.relation, GetUserId(), ACL_SELECT, ACLMASK_ALL) !=
            ACLCHECK_OK) {
        aclcheck_error(ACLCHECK_NO_PRIV, get_relkind_objtype(get_rel_relkind(log.relation)),
                       get_rel_name(log.relation));
    }
    check_enable_rls(log.relation, InvalidOid, false);
    require_visible(log);
}

EntryScan* open_entries(const Log& log, const char* condition) {
    require_readable(log);
    auto* scan = static_cast<EntryScan*>(palloc0(sizeof(EntryScan)));
    const char* query = psprintf(
        "SELECT e.tableoid, e.ctid, e.* FROM %s e%s%s "
        "ORDER BY e.chain_id, e.chain_position",
        from_item(log.relation), condition ? " WHERE " : "", condition ? condition : "");
    SPIPlanPtr plan = SPI_prepare(query, 0, nullptr);
    // Read-only, so that it takes the active snapshot.
    scan->portal = SPI_cursor_open(nullptr, plan, nullptr, nullptr, true);
    TupleDesc descriptor = scan->portal->tupDesc;
    scan->log = &log;
    scan->plan = plan_row(log, descriptor);
    require_chain_columns(log, *scan->plan, log.relation);
    scan->values = static_cast<Datum*>(palloc(descriptor->natts * sizeof(Datum)));
    scan->nulls = static_cast<bool*>(palloc(descriptor->natts * sizeof(bool)));
    scan->row_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain row", ALLOCSET_DEFAULT_SIZES);
    return scan;
}

bool next_entry(EntryScan* scan, ScannedEntry* entry) {
    CHECK_FOR_INTERRUPTS();
    if ((scan->batch == nullptr || scan->next == scan->batch->numvals) && !fetch_batch(scan)) {
        return false;
    }
    heap_deform_tuple(scan->batch->vals[scan->next++], scan->batch->tupdesc, scan->values,
                      scan->nulls);
    entry->entry.row = row_handle(scan, DatumGetObjectId(scan->values[0]),
                                  reinterpret_cast<ItemPointer>(DatumGetPointer(scan->values[1])));
    MemoryContextReset(scan->row_context);
    MemoryContext caller = MemoryContextSwitchTo(scan->row_context);
    read_chain_columns(*scan, entry);
    MemoryContextSwitchTo(caller);
    return true;
}

std::string_view scanned_payload(EntryScan* scan) {
    MemoryContext caller = MemoryContextSwitchTo(scan->row_context);
    std::string_view payload = write_payload(scan->plan, scan->values, scan->nulls);
    MemoryContextSwitchTo(caller);
    return payload;
}

std::string_view scanned_key(EntryScan* scan) {
    MemoryContext caller = MemoryContextSwitchTo(scan->row_context);
    std::string_view key = write_chain_key(scan->plan, scan->values, scan->nulls);
    MemoryContextSwitchTo(caller);
    return key;
}

void close_entries(EntryScan* scan) {
    SPI_cursor_close(scan->portal);
    MemoryContextDelete(scan->row_context);
}

char* describe_row(const EntryScan& scan, std::uint64_t row) {
    Oid leaf = list_nth_oid(scan.leaves, static_cast<int>(row >> 48));
    ItemPointerData tid;
    ItemPointerSet(&tid, static_cast<BlockNumber>(row >> 16), static_cast<OffsetNumber>(row));
    List* primary_key = primary_key_columns(scan.log->relation);
    if (primary_key == NIL) {
        return psprintf("ctid = %s:(%u,%u)", get_rel_name(leaf),
                        ItemPointerGetBlockNumberNoCheck(&tid),
                        ItemPointerGetOffsetNumberNoCheck(&tid));
    }
    Relation table = table_open(leaf, AccessShareLock);
    TupleTableSlot* slot = table_slot_create(table, nullptr);
    if (!table_tuple_fetch_row_version(table, &tid, GetActiveSnapshot(), slot)) {
        elog(ERROR, "row (%u,%u) of \"%s\" cannot be read again",
             ItemPointerGetBlockNumberNoCheck(&tid), ItemPointerGetOffsetNumberNoCheck(&tid),
             RelationGetRelationName(table));
    }
    StringInfoData text;
    initStringInfo(&text);
    ListCell* cell;
    foreach (cell, primary_key) {
        const char* name = static_cast<const char*>(lfirst(cell));
        AttrNumber attnum = get_attnum(leaf, name);
        bool null;
        Datum value = slot_getattr(slot, attnum, &null);
        char* json = value_as_json(get_atttype(leaf, attnum), value);
        appendStringInfo(&text, "%s%s = %s", text.len > 0 ? ", " : "", name,
                         pg_any_to_server(json, static_cast<int>(strlen(json)), PG_UTF8));
    }
    ExecDropSingleTupleTableSlot(slot);
    table_close(table, NoLock);
    return text.data;
}

}  // namespace auditchain::pg
