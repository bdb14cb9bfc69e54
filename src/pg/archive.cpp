#include "pg/archive.h"

#include "core/chain_walk.h"
#include "pg/archive_record.h"
#include "pg/archived_tree.h"
#include "pg/checkpoint.h"
#include "pg/cold_table.h"
#include "pg/destination.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/export_query.h"
#include "pg/hold.h"
#include "pg/key_ring.h"
#include "pg/mapping.h"
#include "pg/operations.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/retention.h"
#include "pg/verify_archive.h"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
#include <utils/date.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

struct Archiving {
    const Log* log;
    const char* actor;
    MemoryContext context;  // of all of the work
    TimestampTz before;
    const LogColumn* time;
    const char* destination;  // as the policy has it
    const char* schema;

    std::int64_t archive;  // its number; 0: nothing has been taken yet
    Oid cold;
    EntryScan* scan;
    ColdWriter writer;
    LinkReader* links;
    ReceiptCheck receipts;
    MemoryContext chain_context;  // of the chain that is being read
    ChainName chain;
    std::int32_t chain_id;
    std::int64_t limit;   // the newest position of it that may be taken
    ArchivedEntries run;  // that is being taken; first 0: none
    std::int64_t entries;
    List* leaves;  // of ArchivedLeaf
    TimestampTz newest;
    int time_index;  // of the time column in the scan's rows
    Oid time_type;
};

[[noreturn]] void refuse_entry(const Archiving& work, std::int64_t position, const char* fault) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" cannot be archived", get_rel_name(work.log->relation)),
            errdetail("Position %lld of chain %s %s.", static_cast<long long>(position),
                      chain_name(work.chain.key, work.chain.lane), fault),
            errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                    qualified_name(work.log->relation)));
    pg_unreachable();
}

bool read_link(const Archiving& work, std::int64_t position, ChainLink* link) {
    begin_links(work.links, work.chain_id, position, position);
    if (!next_link(work.links, link)) {
        return false;
    }
    end_links(work.links);
    return true;
}

// The checksum that stands before a position: of an entry, or at the end of an older archive.
bool read_checksum_before(const Archiving& work, std::int64_t position, Digest* checksum) {
    if (position == 1) {
        *checksum = {};
        return true;
    }
    ChainLink link;
    if (read_link(work, position - 1, &link)) {
        *checksum = link.checksum;
        return true;
    }
    std::span<ArchivedRange> ranges =
        read_archived_ranges(*work.log, work.chain_id, position - 1, 1);
    bool found = !ranges.empty() && ranges[0].entries.last == position - 1;
    *checksum = found ? ranges[0].entries.checksum : Digest{};
    return found;
}

// The checksum that the entry at a position names as the one before it.
bool read_named_checksum(const Archiving& work, std::int64_t position, Digest* checksum) {
    ChainLink link;
    if (read_link(work, position, &link)) {
        *checksum = link.previous;
        return true;
    }
    std::span<ArchivedRange> ranges = read_archived_ranges(*work.log, work.chain_id, position, 1);
    bool found = !ranges.empty() && ranges[0].entries.first == position;
    *checksum = found ? ranges[0].entries.previous : Digest{};
    return found;
}

// Puts the run on record, once it is known to fit what stays before and behind it.
void end_run(Archiving* work) {
    ArchivedEntries& run = work->run;
    if (run.first == 0) {
        return;
    }
    MemoryContext caller = MemoryContextSwitchTo(work->scan->row_context);
    Digest checksum;
    if (!read_checksum_before(*work, run.first, &checksum) || checksum != run.previous) {
        refuse_entry(*work, run.first, "does not follow the entry before it");
    }
    if (!read_named_checksum(*work, run.last + 1, &checksum) || checksum != run.checksum) {
        refuse_entry(*work, run.last + 1, "does not follow the entry before it");
    }
    change_catalog(
        "INSERT INTO auditchain.archive_range (log_id, chain_id, first_position, last_position, "
        "previous_checksum, checksum, archive_id) VALUES ($1, $2, $3, $4, $5, $6, $7)",
        {uuid_arg(work->log->id),
         {INT4OID, Int32GetDatum(work->chain_id)},
         {INT8OID, Int64GetDatum(run.first)},
         {INT8OID, Int64GetDatum(run.last)},
         {BYTEAOID, digest_datum(run.previous)},
         {BYTEAOID, digest_datum(run.checksum)},
         {INT8OID, Int64GetDatum(work->archive)}});
    MemoryContextSwitchTo(caller);
    run = {};
}

// The newest sealed entry of a chain stays: new ones are chained and sealed from there.
std::int64_t archive_limit(const Log& log, std::int32_t chain_id) {
    query_catalog(
        "SELECT max(last_position) - 1 FROM auditchain.sealed_range "
        "WHERE log_id = $1 AND chain_id = $2",
        {uuid_arg(log.id), {INT4OID, Int32GetDatum(chain_id)}});
    bool null;
    Datum limit = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    return null ? 0 : DatumGetInt64(limit);
}

void begin_chain(Archiving* work, std::int32_t chain_id) {
    MemoryContextReset(work->chain_context);
    MemoryContext caller = MemoryContextSwitchTo(work->chain_context);
    work->chain_id = chain_id;
    if (!find_log_chain(work->log->id, chain_id, &work->chain)) {
        ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("log \"%s\" cannot be archived", get_rel_name(work->log->relation)),
                errdetail("It has entries with chain_id %d, which is no chain of it.", chain_id),
                errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                        qualified_name(work->log->relation)));
    }
    work->limit = archive_limit(*work->log, chain_id);
    MemoryContextSwitchTo(caller);
}

// The first entry that is taken begins the archive: there is none without entries.
void begin_archive(Archiving* work) {
    if (work->archive != 0) {
        return;
    }
    change_catalog("SELECT nextval('auditchain.archive_id_seq')", {});
    bool null;
    work->archive =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    work->cold = require_cold_table(*work->log, work->schema);
    work->writer = open_cold_writer(work->cold, *work->scan);
}

void verify_entry(Archiving* work, const ScannedEntry& scanned) {
    const Entry& entry = scanned.entry;
    if (checksum_of(entry.previous, scanned_payload(work->scan)) != entry.checksum) {
        refuse_entry(*work, entry.position, "no longer matches its checksum");
    }
    if (scanned_key(work->scan) != work->chain.key) {
        refuse_entry(*work, entry.position, "belongs to the chain of another key");
    }
    if (check_receipt(&work->receipts,
                      {work->chain.key, work->chain.lane, entry.position, entry.checksum},
                      scanned.has_receipt ? &scanned.receipt : nullptr) == ReceiptState::invalid) {
        refuse_entry(*work, entry.position, "has a receipt that no key of this server makes");
    }
}

// Types without a time zone are UTC.
TimestampTz entry_time(const Archiving& work) {
    Datum value = work.scan->values[work.time_index];
    if (work.time_type != DATEOID) {
        return DatumGetTimestampTz(value);
    }
    DateADT date = DatumGetDateADT(value);
    return DATE_IS_NOBEGIN(date) ? DT_NOBEGIN : date * USECS_PER_DAY;
}

void count_in_leaf(Archiving* work) {
    Oid leaf = DatumGetObjectId(work->scan->values[0]);
    ListCell* cell;
    foreach (cell, work->leaves) {
        auto* counted = static_cast<ArchivedLeaf*>(lfirst(cell));
        if (counted->leaf == leaf) {
            counted->entries++;
            return;
        }
    }
    MemoryContext caller = MemoryContextSwitchTo(work->context);
    work->leaves = lappend(work->leaves, new (palloc(sizeof(ArchivedLeaf))) ArchivedLeaf{leaf, 1});
    MemoryContextSwitchTo(caller);
}

void take_entry(Archiving* work, const ScannedEntry& scanned) {
    const Entry& entry = scanned.entry;
    ArchivedEntries& run = work->run;
    verify_entry(work, scanned);
    if (run.first != 0 && entry.position == run.last + 1) {
        if (entry.previous != run.checksum) {
            refuse_entry(*work, entry.position, "does not follow the entry before it");
        }
        run.last = entry.position;
        run.checksum = entry.checksum;
    } else {
        end_run(work);
        run = {entry.position, entry.position, entry.previous, entry.checksum};
    }
    MemoryContext caller = MemoryContextSwitchTo(work->scan->row_context);
    write_cold_row(&work->writer, *work->scan);
    MemoryContextSwitchTo(caller);
    count_in_leaf(work);
    work->newest = std::max(work->newest, entry_time(*work));
    work->entries++;
}

const char* taken_condition(const Archiving& work) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfoString(&sql, "true");
    append_time_bound(&sql, *work.log, *work.time, "<", work.before);
    if (const char* held = held_condition(*work.log, work.log->relation)) {
        appendStringInfo(&sql, " AND %s IS NOT TRUE", held);
    }
    return sql.data;
}

void find_time_column(Archiving* work) {
    TupleDesc rows = work->scan->portal->tupDesc;
    for (int i = 2; i < rows->natts; i++) {  // behind tableoid and ctid
        if (namestrcmp(&TupleDescAttr(rows, i)->attname, NameStr(work->time->name)) == 0) {
            work->time_index = i;
            work->time_type = getBaseType(TupleDescAttr(rows, i)->atttypid);
        }
    }
}

// Copies what is to be archived, in the order of chains and positions, and puts its ranges on
// record.
void copy_entries(Archiving* work) {
    work->scan = open_entries(*work->log, taken_condition(*work));
    work->links = make_link_reader(*work->log);
    find_time_column(work);
    ScannedEntry scanned = {};
    while (next_entry(work->scan, &scanned)) {
        advance_progress(progress_slot(), 1);
        if (!scanned.in_chain) {
            continue;
        }
        if (scanned.chain_id != work->chain_id) {
            end_run(work);
            begin_chain(work, scanned.chain_id);
        }
        if (scanned.entry.position <= work->limit) {
            begin_archive(work);
            take_entry(work, scanned);
        }
    }
    end_run(work);
    close_entries(work->scan);
    if (work->archive != 0) {
        close_cold_writer(&work->writer);
    }
}

void record_archive(const Archiving& work, const ArchiveTotals& totals) {
    change_catalog(
        "INSERT INTO auditchain.archive (archive_id, log_id, destination, relation, before, "
        "newest_entry, entries, chains, digest, created_by) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10)",
        {{INT8OID, Int64GetDatum(work.archive)},
         uuid_arg(work.log->id),
         text_arg(work.destination),
         {REGCLASSOID, ObjectIdGetDatum(work.cold)},
         {TIMESTAMPTZOID, TimestampTzGetDatum(work.before)},
         {TIMESTAMPTZOID, TimestampTzGetDatum(work.newest)},
         {INT8OID, Int64GetDatum(totals.entries)},
         {INT4OID, Int32GetDatum(totals.chains)},
         {BYTEAOID, digest_datum(totals.digest)},
         text_arg(work.actor)});
    Jsonb* details = jsonb_of(
        "SELECT $1 AS archive, $2 AS destination, $3 AS \"table\", "
        "to_char($4 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS before, "
        "$5 AS entries, $6 AS chains, $7 AS ranges, $8 AS digest",
        {{INT8OID, Int64GetDatum(work.archive)},
         text_arg(work.destination),
         text_arg(qualified_name(work.cold)),
         {TIMESTAMPTZOID, TimestampTzGetDatum(work.before)},
         {INT8OID, Int64GetDatum(totals.entries)},
         {INT4OID, Int32GetDatum(totals.chains)},
         {INT8OID, Int64GetDatum(totals.ranges)},
         text_arg(digest_text(totals.digest))});
    record_operation(work.log->relation, work.log->id, {"archived", work.actor, nullptr, details});
}

// What was written is read again, before anything is deleted.
void require_archived(const Archiving& work) {
    ViolationReceiver receiver = {
        [](void* state, const ReportedViolation& violation) {
            ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                    errmsg("what was archived of log \"%s\" is not what was written",
                           get_rel_name(static_cast<const Archiving*>(state)->log->relation)),
                    errdetail("Chain %s, position %lld: %s.", violation.chain,
                              static_cast<long long>(violation.position), violation.detail),
                    errhint("Nothing has been changed. Look for triggers and errors of storage."));
        },
        const_cast<Archiving*>(&work)};
    ArchivedCheck check = check_archived_entries(*work.log, work.archive, work.cold, receiver);
    if (check.entries != work.entries) {
        elog(ERROR, "%lld entries were archived, and %lld read again",
             static_cast<long long>(work.entries), static_cast<long long>(check.entries));
    }
}

void read_destination(Archiving* work) {
    query_catalog("SELECT destination FROM auditchain.retention_policy WHERE log_id = $1",
                  {uuid_arg(work->log->id)});
    work->destination = SPI_processed == 0
                            ? nullptr
                            : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (work->destination == nullptr) {
        ereport(
            ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("log \"%s\" has no destination for archives", get_rel_name(work->log->relation)),
            errdetail("Its retention policy names none."),
            errhint("SELECT auditchain.set_retention('%s', destination => 'schema:cold')",
                    qualified_name(work->log->relation)));
    }
    work->schema = require_destination(work->destination, work->log->relation).name;
}

// An entry is deleted below all triggers, those of foreign keys included.
void require_unreferenced(const Log& log) {
    query_catalog(
        "SELECT conrelid::regclass::text, conname FROM pg_constraint WHERE contype = 'f' AND "
        "confrelid IN (SELECT $1 UNION SELECT relid FROM pg_partition_tree($1)) LIMIT 1",
        {{REGCLASSOID, ObjectIdGetDatum(log.relation)}});
    if (SPI_processed > 0) {
        HeapTuple row = SPI_tuptable->vals[0];
        ereport(ERROR, errcode(ERRCODE_AC_UNSUITABLE_TABLE),
                errmsg("log \"%s\" cannot be archived", get_rel_name(log.relation)),
                errdetail("The foreign key %s of %s refers to it.",
                          SPI_getvalue(row, SPI_tuptable->tupdesc, 2),
                          SPI_getvalue(row, SPI_tuptable->tupdesc, 1)),
                errhint("Drop the foreign key, or keep all entries in the log."));
    }
}

void require_possible(const Log& log) {
    if (IsolationUsesXactSnapshot()) {
        ereport(
            ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("log \"%s\" cannot be archived in this transaction", get_rel_name(log.relation)),
            errdetail("Its isolation level is not READ COMMITTED."),
            errhint("Archive in a transaction of its own."));
    }
    if (log.receipts && receipt_secret_count() == 0) {
        refuse_without_receipt_key(psprintf("log \"%s\" has receipts", get_rel_name(log.relation)));
    }
}

void archive_found(Archiving* work) {
    PushActiveSnapshot(GetLatestSnapshot());
    copy_entries(work);
    PopActiveSnapshot();
    if (work->archive == 0) {
        return;
    }
    PushActiveSnapshot(GetLatestSnapshot());
    ArchiveTotals totals = read_archive_totals(*work->log, work->archive);
    require_archived(*work);
    store_archived_hashes(*work->log, work->archive);
    record_archive(*work, totals);
    int partitions =
        remove_archived_entries(*work->log, work->archive, work->leaves, *work->time, work->before);
    PopActiveSnapshot();
    if (partitions > 0) {
        change_catalog(
            "UPDATE auditchain.archive SET partitions = $2 WHERE archive_id = $1",
            {{INT8OID, Int64GetDatum(work->archive)}, {INT4OID, Int32GetDatum(partitions)}});
    }
}

}  // namespace

std::int64_t archive_entries(const Log& log, TimestampTz before) {
    require_possible(log);
    Archiving work = {};
    work.log = &log;
    work.actor = current_actor();
    work.before = before;
    work.newest = DT_NOBEGIN;
    work.context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain archive", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(work.context);
    OwnerWork owner = begin_owner_work(log);
    read_destination(&work);
    require_unreferenced(log);
    work.time = require_time_column(log);
    work.receipts = begin_receipt_check(log);
    work.chain_context =
        AllocSetContextCreate(work.context, "auditchain chain", ALLOCSET_SMALL_SIZES);
    begin_progress(log.relation, "archive", "copying entries", -1);
    seal_log(log);
    archive_found(&work);
    end_owner_work(owner);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(work.context);
    return work.archive;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// archive(log regclass, before timestamptz) → bigint
AUDITCHAIN_FUNCTION(auditchain_archive) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log and before must not be NULL"),
                errhint("SELECT auditchain.archive('log', now() - interval '90 days')"));
    }
    const Log& log = require_retained_log(PG_GETARG_OID(0));
    std::int64_t archive = archive_entries(log, PG_GETARG_TIMESTAMPTZ(1));
    if (archive == 0) {
        PG_RETURN_NULL();
    }
    PG_RETURN_INT64(archive);
}
