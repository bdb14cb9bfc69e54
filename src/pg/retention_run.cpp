#include "pg/retention_run.h"

#include "pg/archive.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/export_query.h"
#include "pg/hold.h"
#include "pg/retention.h"
#include "pg/subtransaction.h"

extern "C" {
#include <access/xact.h>
#include <executor/spi.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

// The time before which entries leave the log: whole days, so that there is an archive a day at
// most. False where they do not, as the policy names no destination.
bool read_hot_end(const Log& log, TimestampTz* end) {
    query_catalog(
        "SELECT date_trunc('day', now() - hot, 'UTC') FROM auditchain.retention_policy "
        "WHERE log_id = $1 AND destination IS NOT NULL",
        {uuid_arg(log.id)});
    if (SPI_processed == 0) {
        return false;
    }
    bool null;
    *end =
        DatumGetTimestampTz(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    return true;
}

// The ends of the months that have entries to archive, the last cut at `end`. The newest entry of a
// chain is none of them.
const char* due_months_query(const Log& log, TimestampTz end) {
    const LogColumn* time = require_time_column(log);
    const char* column = quote_identifier(NameStr(time->name));
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql,
                     "SELECT DISTINCT least($1, date_trunc('month', e.%s::timestamptz, 'UTC') + "
                     "interval '1 month') FROM %s e WHERE EXISTS (SELECT FROM %s n "
                     "WHERE n.chain_id = e.chain_id AND n.chain_position > e.chain_position)",
                     column, qualified_name(log.relation), qualified_name(log.relation));
    append_time_bound(&sql, log, *time, "<", end);
    if (const char* held = held_condition(log, log.relation)) {
        appendStringInfo(&sql, " AND %s IS NOT TRUE", held);
    }
    appendStringInfoString(&sql, " ORDER BY 1");
    return sql.data;
}

std::span<TimestampTz> find_due_months(const Log& log, MemoryContext context) {
    OwnerWork owner = begin_owner_work(log);
    std::span<TimestampTz> months;
    TimestampTz end;
    if (read_hot_end(log, &end)) {
        Oid types[] = {TIMESTAMPTZOID};
        Datum values[] = {TimestampTzGetDatum(end)};
        PushActiveSnapshot(GetLatestSnapshot());
        SPI_execute_with_args(due_months_query(log, end), 1, types, values, nullptr, true, 0);
        PopActiveSnapshot();
        auto* found = static_cast<TimestampTz*>(
            MemoryContextAlloc(context, (SPI_processed + 1) * sizeof(TimestampTz)));
        for (std::uint64_t i = 0; i < SPI_processed; i++) {
            bool null;
            found[i] = DatumGetTimestampTz(
                SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        }
        months = {found, SPI_processed};
    }
    end_owner_work(owner);
    return months;
}

std::int64_t count_archived(std::int64_t archive) {
    SPI_connect();
    query_catalog("SELECT entries FROM auditchain.archive WHERE archive_id = $1",
                  {{INT8OID, Int64GetDatum(archive)}});
    bool null;
    std::int64_t entries =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    SPI_finish();
    return entries;
}

// Applies a policy in a subtransaction: what goes wrong with one log is a WARNING, and stops no
// other. False where it did.
bool try_policy(const RetainedLog& log, AppliedPolicy* applied) {
    ErrorData* error = try_in_subtransaction([&] { *applied = apply_policy(log.relation); });
    if (error != nullptr) {
        ereport(WARNING, errcode(error->sqlerrcode),
                errmsg("retention of log \"%s\" was not applied: %s", log.name, error->message),
                error->detail ? errdetail("%s", error->detail) : 0,
                errhint("SELECT auditchain.apply_retention() when that is mended."));
    }
    return error == nullptr;
}

}  // namespace

List* find_retained_logs(MemoryContext context) {
    SPI_connect();
    query_catalog(
        "SELECT l.relation::oid, l.relation::text FROM auditchain.retention_policy "
        "JOIN auditchain.log AS l USING (log_id) JOIN pg_class AS c ON c.oid = l.relation "
        "WHERE released_at IS NULL AND pg_has_role($1, c.relowner, 'USAGE') ORDER BY l.relation",
        {{OIDOID, ObjectIdGetDatum(GetUserId())}});
    MemoryContext spi = MemoryContextSwitchTo(context);
    List* logs = NIL;
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        bool null;
        logs =
            lappend(logs, new (palloc(sizeof(RetainedLog))) RetainedLog{
                              DatumGetObjectId(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null)),
                              SPI_getvalue(row, SPI_tuptable->tupdesc, 2)});
    }
    MemoryContextSwitchTo(spi);
    SPI_finish();
    return logs;
}

AppliedPolicy apply_policy(Oid relation) {
    AppliedPolicy applied = {};
    const Log& log = require_retained_log(relation);
    for (TimestampTz month : find_due_months(log, CurrentMemoryContext)) {
        CHECK_FOR_INTERRUPTS();
        if (std::int64_t archive = archive_entries(log, month)) {
            applied.archived += count_archived(archive);
        }
    }
    applied.expired = expire_archives(log);
    return applied;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// apply_retention() → SETOF (log, archived, expired)
AUDITCHAIN_FUNCTION(auditchain_apply_retention) {
    InitMaterializedSRF(fcinfo, 0);
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    ListCell* cell;
    foreach (cell, find_retained_logs(CurrentMemoryContext)) {
        const auto& log = *static_cast<RetainedLog*>(lfirst(cell));
        AppliedPolicy applied = {};
        if (try_policy(log, &applied)) {
            Datum values[] = {ObjectIdGetDatum(log.relation), Int64GetDatum(applied.archived),
                              Int64GetDatum(applied.expired)};
            bool nulls[lengthof(values)] = {};
            tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
        }
    }
    return 0;
}
