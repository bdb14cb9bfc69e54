// expire(): archives whose time has come.

#include "pg/archive.h"
#include "pg/archive_file.h"
#include "pg/archive_record.h"
#include "pg/cold_table.h"
#include "pg/errors.h"
#include "pg/expire_file.h"
#include "pg/hold.h"
#include "pg/incarnation.h"
#include "pg/operations.h"
#include "pg/retention.h"

extern "C" {
#include <utils/lsyscache.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// An archive all of whose entries are older than its log's policy keeps them.
struct DueArchive {
    std::int64_t archive;
    Oid table;
    RecordedFile file;  // its path is nullptr where it is in a table
    const char* digest;
    std::int64_t entries;
    const char* policy;  // "keep 7 years"
    bool foreign;        // a file that another database, or life of this one, has made
};

std::span<DueArchive> read_due_archives(const Log& log) {
    query_catalog(
        "SELECT archive_id, a.relation::oid, entries, 'keep ' || (keep::text), "
        "encode(digest, 'hex'), file IS NOT NULL AND made_in <> $2 "
        "FROM auditchain.archive AS a JOIN auditchain.retention_policy USING (log_id) "
        "WHERE log_id = $1 AND expired_at IS NULL AND newest_entry < now() - keep "
        "ORDER BY archive_id",
        {uuid_arg(log.id), text_arg(identity_of(log))});
    SPITupleTable* rows = SPI_tuptable;
    auto* due = static_cast<DueArchive*>(palloc((rows->numvals + 1) * sizeof(DueArchive)));
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        HeapTuple row = rows->vals[i];
        TupleDesc descriptor = rows->tupdesc;
        bool null;
        std::int64_t archive = DatumGetInt64(SPI_getbinval(row, descriptor, 1, &null));
        due[i] = {archive,
                  DatumGetObjectId(SPI_getbinval(row, descriptor, 2, &null)),
                  read_recorded_file(archive),
                  SPI_getvalue(row, descriptor, 5),
                  DatumGetInt64(SPI_getbinval(row, descriptor, 3, &null)),
                  SPI_getvalue(row, descriptor, 4),
                  DatumGetBool(SPI_getbinval(row, descriptor, 6, &null))};
    }
    return {due, rows->numvals};
}

// Whether a hold matches any entry of the archive: then all of it stays.
bool is_held_in_table(const Log& log, const DueArchive& due) {
    const char* held = held_condition(log, due.table);
    if (held == nullptr) {
        return false;
    }
    const char* query = psprintf(
        "SELECT FROM ONLY %s e WHERE e.chain_id OPERATOR(pg_catalog.=) $1 "
        "AND e.chain_position OPERATOR(pg_catalog.>=) $2 "
        "AND e.chain_position OPERATOR(pg_catalog.<=) $3 AND %s LIMIT 1",
        qualified_name(due.table), held);
    Oid types[] = {INT4OID, INT8OID, INT8OID};
    SPIPlanPtr plan = SPI_prepare(query, lengthof(types), types);
    bool found = false;
    for_each_range_of(due.archive, [&](const ArchivedRange& range) {
        Datum arguments[] = {Int32GetDatum(range.chain_id), Int64GetDatum(range.entries.first),
                             Int64GetDatum(range.entries.last)};
        found =
            found || (SPI_execute_plan(plan, arguments, nullptr, true, 1) > 0 && SPI_processed > 0);
    });
    SPI_freeplan(plan);
    return found;
}

bool may_expire(const Log& log, const DueArchive& due) {
    if (due.file.path != nullptr) {
        return may_expire_file(log, due.archive, due.file);
    }
    return get_rel_name(due.table) == nullptr || !is_held_in_table(log, due);
}

std::int64_t delete_archived(const DueArchive& due) {
    if (due.file.path != nullptr) {
        remove_file_at_commit(due.file.path);
        return due.entries;
    }
    if (get_rel_name(due.table) == nullptr) {
        return 0;
    }
    EntryRemover* remover = open_entry_remover(due.table);
    std::int64_t entries = 0;
    for_each_range_of(due.archive, [&](const ArchivedRange& range) {
        entries += remove_entries(remover, range);
    });
    close_entry_remover(remover);
    return entries;
}

// The record of the archive stays: its ranges still account for the gaps in the log.
void record_expiry(const Log& log, const DueArchive& due, std::int64_t deleted, const char* actor) {
    change_catalog(
        "UPDATE auditchain.archive SET expired_at = clock_timestamp(), expired_by = $2, "
        "expire_reason = $3 WHERE archive_id = $1",
        {{INT8OID, Int64GetDatum(due.archive)}, text_arg(actor), text_arg(due.policy)});
    Arg archive = {INT8OID, Int64GetDatum(due.archive)};
    Arg entries = {INT8OID, Int64GetDatum(due.entries)};
    Arg gone = {INT8OID, Int64GetDatum(deleted)};
    Arg digest = text_arg(due.digest);
    Jsonb* details =
        due.file.path == nullptr
            ? jsonb_of("SELECT $1 AS archive, $2 AS entries, $3 AS deleted, $4 AS digest",
                       {archive, entries, gone, digest})
            : jsonb_of(
                  "SELECT $1 AS archive, $2 AS entries, $3 AS deleted, $4 AS digest, "
                  "$5 AS file, $6 AS sha256",
                  {archive, entries, gone, digest, text_arg(due.file.path),
                   text_arg(digest_text(due.file.sha256))});
    record_operation(log.relation, log.id, {"expired", actor, due.policy, details});
}

void warn_of_foreign(const Log& log, int archives) {
    ereport(WARNING, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("%d archives of log \"%s\" are past their time, and are kept", archives,
                   get_rel_name(log.relation)),
            errdetail("Their files were made by another database that this one is a copy of, or "
                      "before a restore or promotion, and may be needed there."),
            errhint("docs/operations.md says, under \"Files of archives\", how this database takes "
                    "them over."));
}

}  // namespace

std::int64_t expire_archives(const Log& log) {
    const char* actor = current_actor();
    OwnerWork owner = begin_owner_work(log);
    PushActiveSnapshot(GetLatestSnapshot());
    std::int64_t expired = 0;
    int foreign = 0;
    remove_expired_files(log);
    for (const DueArchive& due : read_due_archives(log)) {
        foreign += due.foreign;
        if (due.foreign || !may_expire(log, due)) {
            continue;
        }
        std::int64_t deleted = delete_archived(due);
        record_expiry(log, due, deleted, actor);
        expired += deleted;
    }
    if (foreign > 0) {
        warn_of_foreign(log, foreign);
    }
    PopActiveSnapshot();
    end_owner_work(owner);
    return expired;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// expire(log regclass) → bigint
AUDITCHAIN_FUNCTION(auditchain_expire) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("log must not be NULL"),
                errhint("SELECT auditchain.expire('log')"));
    }
    PG_RETURN_INT64(expire_archives(require_retained_log(PG_GETARG_OID(0))));
}
