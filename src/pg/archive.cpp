#include "pg/archive.h"

#include "pg/archive_record.h"
#include "pg/archive_selection.h"
#include "pg/archive_to_file.h"
#include "pg/archive_to_table.h"
#include "pg/archived_tree.h"
#include "pg/checkpoint.h"
#include "pg/destination.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/key_ring.h"
#include "pg/incarnation.h"
#include "pg/operations.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/retention.h"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
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
    TimestampTz before;
    const LogColumn* time;
    const char* policy;  // the destination as the policy has it
    Destination destination;
    EntrySelection selected;
    ColdCopy cold;     // of a destination that is a schema
    ArchiveFile file;  // of one that is a directory
};

bool is_file(const Archiving& work) {
    return work.destination.kind == DestinationKind::kDirectory;
}

Jsonb* describe_archive(const Archiving& work, const ArchiveTotals& totals) {
    constexpr const char* kCommon =
        "to_char($3 AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS.US\"Z\"') AS before, "
        "$4 AS entries, $5 AS chains, $6 AS ranges, $7 AS digest";
    Arg archive = {INT8OID, Int64GetDatum(work.selected.archive)};
    Arg destination = text_arg(work.policy);
    Arg before = {TIMESTAMPTZOID, TimestampTzGetDatum(work.before)};
    Arg entries = {INT8OID, Int64GetDatum(totals.entries)};
    Arg chains = {INT4OID, Int32GetDatum(totals.chains)};
    Arg ranges = {INT8OID, Int64GetDatum(totals.ranges)};
    Arg digest = text_arg(digest_text(totals.digest));
    if (is_file(work)) {
        return jsonb_of(psprintf("SELECT $1 AS archive, $2 AS destination, %s, $8 AS file, "
                                 "$9 AS size, $10 AS sha256",
                                 kCommon),
                        {archive,
                         destination,
                         before,
                         entries,
                         chains,
                         ranges,
                         digest,
                         text_arg(work.file.path),
                         {INT8OID, Int64GetDatum(work.file.size)},
                         text_arg(digest_text(work.file.sha256))});
    }
    return jsonb_of(
        psprintf("SELECT $1 AS archive, $2 AS destination, %s, $8 AS \"table\"", kCommon),
        {archive, destination, before, entries, chains, ranges, digest,
         text_arg(qualified_name(work.cold.table))});
}

void record_archive(const Archiving& work, const ArchiveTotals& totals) {
    bool file = is_file(work);
    change_catalog(
        "INSERT INTO auditchain.archive (archive_id, log_id, destination, relation, before, "
        "newest_entry, entries, chains, digest, created_by, file, file_size, file_sha256, "
        "made_in) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14)",
        {{INT8OID, Int64GetDatum(work.selected.archive)},
         uuid_arg(work.log->id),
         text_arg(work.policy),
         {REGCLASSOID, ObjectIdGetDatum(work.cold.table), file},
         {TIMESTAMPTZOID, TimestampTzGetDatum(work.before)},
         {TIMESTAMPTZOID, TimestampTzGetDatum(work.selected.newest)},
         {INT8OID, Int64GetDatum(totals.entries)},
         {INT4OID, Int32GetDatum(totals.chains)},
         {BYTEAOID, digest_datum(totals.digest)},
         text_arg(work.actor),
         text_arg(work.file.path),
         {INT8OID, Int64GetDatum(work.file.size), !file},
         {BYTEAOID, digest_datum(work.file.sha256), !file},
         text_arg(identity_of(*work.log))});
    record_operation(work.log->relation, work.log->id,
                     {"archived", work.actor, nullptr, describe_archive(work, totals)});
}

void read_destination(Archiving* work) {
    query_catalog("SELECT destination FROM auditchain.retention_policy WHERE log_id = $1",
                  {uuid_arg(work->log->id)});
    work->policy = SPI_processed == 0
                       ? nullptr
                       : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
    if (work->policy == nullptr) {
        ereport(
            ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("log \"%s\" has no destination for archives", get_rel_name(work->log->relation)),
            errdetail("Its retention policy names none."),
            errhint("SELECT auditchain.set_retention('%s', destination => 'schema:cold')",
                    qualified_name(work->log->relation)));
    }
    work->destination = require_destination(work->policy, work->log->relation);
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

void copy_entries(Archiving* work) {
    const Log& log = *work->log;
    if (is_file(*work)) {
        work->selected = select_entries(log, *work->time, work->before, nullptr);
        if (work->selected.archive != 0) {
            work->file = begin_archive_file(log, work->selected.archive, work->destination.name);
        }
        return;
    }
    work->cold = {&log, work->destination.name, InvalidOid, {}};
    RowTaker taker = {take_cold_row, &work->cold};
    work->selected = select_entries(log, *work->time, work->before, &taker);
    end_cold_copy(&work->cold);
}

// What was written is read again, before anything is deleted.
void verify_copy(Archiving* work) {
    if (is_file(*work)) {
        finish_archive_file(*work->log, work->selected.archive, &work->file);
    } else {
        require_cold_copy(work->cold, work->selected);
    }
}

void archive_found(Archiving* work) {
    const Log& log = *work->log;
    PushActiveSnapshot(GetLatestSnapshot());
    copy_entries(work);
    PopActiveSnapshot();
    std::int64_t archive = work->selected.archive;
    if (archive == 0) {
        return;
    }
    PushActiveSnapshot(GetLatestSnapshot());
    verify_copy(work);
    ArchiveTotals totals = read_archive_totals(log, archive);
    store_archived_hashes(log, archive);
    record_archive(*work, totals);
    int partitions =
        remove_archived_entries(log, archive, work->selected.leaves, *work->time, work->before);
    PopActiveSnapshot();
    if (partitions > 0) {
        change_catalog("UPDATE auditchain.archive SET partitions = $2 WHERE archive_id = $1",
                       {{INT8OID, Int64GetDatum(archive)}, {INT4OID, Int32GetDatum(partitions)}});
    }
}

}  // namespace

std::int64_t archive_entries(const Log& log, TimestampTz before) {
    require_possible(log);
    Archiving work = {};
    work.log = &log;
    work.actor = current_actor();
    work.before = before;
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain archive", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    OwnerWork owner = begin_owner_work(log);
    read_destination(&work);
    require_unreferenced(log);
    work.time = require_time_column(log);
    begin_progress(log.relation, "archive", "copying entries", -1);
    seal_log(log);
    archive_found(&work);
    end_owner_work(owner);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    return work.selected.archive;
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
