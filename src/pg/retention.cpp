// set_retention(): how long the entries of a log are kept, and where.

#include "pg/retention.h"

#include <utility>

#include "pg/destination.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/mapping.h"
#include "pg/operations.h"
#include "pg/settings.h"

extern "C" {
#include <executor/spi.h>
#include <miscadmin.h>
#include <storage/lock.h>
#include <utils/fmgrprotos.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {

// Beside the locks of the log's chains (chain_lock.cpp), whose numbers are small, and of its
// sealers (checkpoint.cpp).
void lock_retention(const Log& log) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, log.relation, PG_UINT32_MAX - 1, 0);
    LockAcquire(&tag, ExclusiveLock, false, false);
}

const Log& require_retained_log(Oid relation) {
    const Log& log = require_log(relation);
    require_owner(log.relation);
    if (log.released) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("log \"%s\" is released", get_rel_name(log.relation)),
                errdetail("Retention is for logs under protection."),
                errhint("The view auditchain.logs shows when it was released."));
    }
    if (log.relation == operations_log()) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("the log of operations has no retention"),
                errdetail("Its entries prove what was archived and held in all other logs."),
                errhint("Keep it as long as the database."));
    }
    PreventCommandIfReadOnly("retention");
    PreventCommandDuringRecovery("retention");
    lock_retention(log);
    return log;
}

OwnerWork begin_owner_work(const Log& log) {
    OwnerWork work = {};
    GetUserIdAndSecContext(&work.user, &work.security_context);
    SetUserIdAndSecContext(relation_owner(log.relation), work.security_context |
                                                             SECURITY_LOCAL_USERID_CHANGE |
                                                             SECURITY_RESTRICTED_OPERATION);
    SPI_connect();
    work.guc_level = forbid_row_security();
    for (auto [name, value] : {std::pair("search_path", "pg_catalog, pg_temp"),
                               std::pair("intervalstyle", "postgres")}) {
        set_config_option(name, value, PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0, false);
    }
    return work;
}

void end_owner_work(const OwnerWork& work) {
    AtEOXact_GUC(true, work.guc_level);
    SPI_finish();
    SetUserIdAndSecContext(work.user, work.security_context);
}

const LogColumn* require_time_column(const Log& log) {
    const LogColumn* column = resolve_mapping(log).columns[kFieldTimestamp];
    if (column == nullptr) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no time column that retention could go by",
                       get_rel_name(log.relation)),
                errdetail("No column is mapped to the field \"timestamp\" of its events."),
                errhint("SELECT auditchain.set_mapping('%s', '{\"timestamp\": \"a column\"}')",
                        qualified_name(log.relation)));
    }
    return column;
}

namespace {

struct Policy {
    const Interval* keep;  // nullptr: for ever
    const Interval* hot;
    const char* destination;  // nullptr: nothing is archived
};

bool is_shorter(const Interval* a, const Interval* b) {
    return DatumGetBool(
        DirectFunctionCall2(interval_lt, IntervalPGetDatum(a), IntervalPGetDatum(b)));
}

// As "7 years", whatever IntervalStyle says.
const char* interval_text(const Interval* interval) {
    int guc_level = NewGUCNestLevel();
    set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                      true, 0, false);
    const char* text =
        DatumGetCString(DirectFunctionCall1(interval_out, IntervalPGetDatum(interval)));
    AtEOXact_GUC(true, guc_level);
    return text;
}

void require_lengths(const Policy& policy) {
    Interval none = {};
    if (is_shorter(policy.hot, &none)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("hot must not be negative"),
                errdetail("It is %s.", interval_text(policy.hot)),
                errhint("Entries older than that are archived."));
    }
    if (policy.keep == nullptr) {
        return;
    }
    Interval minimum = {};
    minimum.time = static_cast<TimeOffset>(minimum_retention) * USECS_PER_MINUTE;
    if (is_shorter(policy.keep, &minimum)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("entries cannot be kept for only %s", interval_text(policy.keep)),
                errdetail("auditchain.minimum_retention is %s.",
                          GetConfigOptionByName("auditchain.minimum_retention", nullptr, false)),
                errhint("A superuser may change that setting."));
    }
    if (is_shorter(policy.keep, policy.hot)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("hot must not be longer than keep"),
                errdetail("keep is %s, hot is %s.", interval_text(policy.keep),
                          interval_text(policy.hot)),
                errhint("hot is the part of keep that entries spend in the log itself."));
    }
}

// Whether the log's policy so far keeps entries longer than this one.
bool shortens(const Log& log, const Policy& policy) {
    query_catalog("SELECT keep FROM auditchain.retention_policy WHERE log_id = $1",
                  {uuid_arg(log.id)});
    if (SPI_processed == 0 || policy.keep == nullptr) {
        return false;
    }
    bool for_ever;
    Datum keep = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &for_ever);
    return for_ever || is_shorter(policy.keep, DatumGetIntervalP(keep));
}

Arg interval_arg(const Interval* interval) {
    return {INTERVALOID, IntervalPGetDatum(interval), interval == nullptr};
}

void store_policy(const Log& log, const Policy& policy, const char* reason) {
    const char* actor = current_actor();
    change_catalog(
        "INSERT INTO auditchain.retention_policy (log_id, keep, hot, destination, set_by) "
        "VALUES ($1, $2, $3, $4, $5) ON CONFLICT (log_id) DO UPDATE SET keep = excluded.keep, "
        "hot = excluded.hot, destination = excluded.destination, set_at = excluded.set_at, "
        "set_by = excluded.set_by",
        {uuid_arg(log.id), interval_arg(policy.keep), interval_arg(policy.hot),
         text_arg(policy.destination), text_arg(actor)});
    Jsonb* details = jsonb_of("SELECT $1::text AS keep, $2::text AS hot, $3 AS destination",
                              {text_arg(policy.keep ? interval_text(policy.keep) : nullptr),
                               text_arg(interval_text(policy.hot)), text_arg(policy.destination)});
    record_operation(log.relation, log.id, {"retention_set", actor, reason, details});
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// set_retention(log regclass, keep interval, hot interval, destination text, reason text)
AUDITCHAIN_FUNCTION(auditchain_set_retention) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(2)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("log and hot must not be NULL"),
                errhint("keep may be: entries are then kept for ever."));
    }
    const Log& log = require_retained_log(PG_GETARG_OID(0));
    Policy policy = {PG_ARGISNULL(1) ? nullptr : PG_GETARG_INTERVAL_P(1), PG_GETARG_INTERVAL_P(2),
                     PG_ARGISNULL(3) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(3))};
    const char* reason = PG_ARGISNULL(4) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(4));
    require_lengths(policy);
    require_time_column(log);
    if (policy.destination != nullptr) {
        require_destination(policy.destination, log.relation);
    }
    SPI_connect();
    if (shortens(log, policy)) {
        require_reason(reason, "a policy that keeps entries shorter than before",
                       "SELECT auditchain.set_retention('log', reason => 'why')");
    }
    store_policy(log, policy, reason);
    SPI_finish();
    PG_RETURN_VOID();
}
