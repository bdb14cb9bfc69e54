#include "pg/sealer.h"

#include <cerrno>
#include <utility>

#include "pg/checkpoint.h"
#include "pg/retention_run.h"
#include "pg/sealer_slots.h"
#include "pg/settings.h"

extern "C" {
#include <access/xact.h>
#include <catalog/pg_authid.h>
#include <commands/extension.h>
#include <executor/spi.h>
#include <libpq/pqsignal.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/procarray.h>
#include <tcop/tcopprot.h>
#include <utils/guc.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
#include <utils/timeout.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// At shutdown: how long it waits for other sessions of the database to end, and how long all of it
// may take. The server waits for the sealer, and an operator for the server.
constexpr int kLastWaitMilliseconds = 1000;
constexpr int kLastMilliseconds = 5000;

struct FoundLog {
    Oid relation;
    const char* name;
};

struct FoundLogs {
    FoundLog* logs;
    std::uint64_t count;
};

// Cancels what is under way: the last checkpoint is made anew, within the time there is for it.
void request_shutdown(SIGNAL_ARGS) {
    int saved_errno = errno;
    if (!ShutdownRequestPending) {
        ShutdownRequestPending = true;
        QueryCancelPending = true;
        InterruptPending = true;
    }
    SetLatch(MyLatch);
    errno = saved_errno;
}

bool must_stop() {
    return ShutdownRequestPending || must_sealer_leave();
}

void show_activity(BackendState state, const char* text) {
    debug_query_string = text;
    pgstat_report_activity(state, text);
}

// Nothing that the owner of the database can set with ALTER DATABASE may keep the sealer from its
// work, and no lock on one log from the others.
void fix_settings() {
    constexpr std::pair<const char*, const char*> fixed[] = {
        {"search_path", "pg_catalog, pg_temp"},
        {"default_transaction_isolation", "read committed"},
        {"default_transaction_read_only", "off"},
        {"default_transaction_deferrable", "off"},
        {"statement_timeout", "0"},
        {"lock_timeout", "5s"},
        {"idle_in_transaction_session_timeout", "0"},
        {"exit_on_error", "off"},
    };
    for (auto [name, value] : fixed) {
        SetConfigOption(name, value, PGC_SUSET, PGC_S_OVERRIDE);
    }
    if (compat::kHasTransactionTimeout) {
        SetConfigOption("transaction_timeout", "0", PGC_SUSET, PGC_S_OVERRIDE);
    }
}

// Writes the error on its way into the server's log, and returns its message, palloc'd.
char* log_error(const char* doing) {
    ErrorData* error = CopyErrorData();
    errcontext("auditchain sealer, %s", doing);
    EmitErrorReport();
    return psprintf("%s: %s", doing, error->message);
}

// Runs an action in a transaction of its own, for so many milliseconds at most, 0 for any time.
// Returns what went wrong, palloc'd; nullptr: nothing, or it was told to stop.
template <typename Action>
char* in_transaction(const char* doing, int milliseconds, Action action) {
    MemoryContext caller = CurrentMemoryContext;
    char* volatile failure = nullptr;
    show_activity(STATE_RUNNING, doing);
    PG_TRY();
    {
        StartTransactionCommand();
        if (milliseconds > 0) {
            enable_timeout_after(STATEMENT_TIMEOUT, milliseconds);
        }
        PushActiveSnapshot(GetTransactionSnapshot());
        action();
        PopActiveSnapshot();
        CommitTransactionCommand();
        disable_timeout(STATEMENT_TIMEOUT, false);
    }
    PG_CATCH();
    {
        HOLD_INTERRUPTS();
        disable_timeout(STATEMENT_TIMEOUT, false);
        MemoryContextSwitchTo(caller);
        // Who is told to stop was cancelled for it.
        if (milliseconds > 0 || !must_stop() || geterrcode() != ERRCODE_QUERY_CANCELED) {
            failure = log_error(doing);
        }
        AbortOutOfAnyTransaction();
        FlushErrorState();
        MemoryContextSwitchTo(caller);
        RESUME_INTERRUPTS();
    }
    PG_END_TRY();
    show_activity(STATE_IDLE, nullptr);
    pgstat_report_stat(false);
    MemoryContextSwitchTo(caller);
    return failure;
}

// Logs under protection, palloc'd in `context`.
FoundLogs find_logs(MemoryContext context) {
    FoundLogs found = {};
    if (!OidIsValid(get_extension_oid("auditchain", true))) {
        return found;
    }
    SPI_connect();
    SPI_execute(
        "SELECT l.relation, l.relation::text FROM auditchain.log l "
        "JOIN pg_catalog.pg_class c ON c.oid = l.relation "
        "WHERE l.released_at IS NULL ORDER BY l.log_id",
        true, 0);
    found.count = SPI_processed;
    found.logs =
        static_cast<FoundLog*>(MemoryContextAllocZero(context, SPI_processed * sizeof(FoundLog)));
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        HeapTuple tuple = SPI_tuptable->vals[i];
        bool null;
        found.logs[i].relation =
            DatumGetObjectId(SPI_getbinval(tuple, SPI_tuptable->tupdesc, 1, &null));
        found.logs[i].name =
            MemoryContextStrdup(context, SPI_getvalue(tuple, SPI_tuptable->tupdesc, 2));
    }
    SPI_finish();
    return found;
}

void seal_found_log(Oid relation) {
    const Log* log = read_log(relation);
    if (log != nullptr && !log->released) {
        seal_log(*log);
    }
}

// The share in milliseconds that one of `parts` has in the time until then; 0 when there is no end.
int share_of_time(TimestampTz end, std::uint64_t parts) {
    if (end == DT_NOEND) {
        return 0;
    }
    auto left =
        static_cast<std::uint64_t>(TimestampDifferenceMilliseconds(GetCurrentTimestamp(), end));
    return static_cast<int>(std::max(left / parts, std::uint64_t{1}));
}

// Seals the logs of the database, each in a transaction of its own, so that one that cannot be
// sealed stops none. With an end it is the last time, and has until then.
bool seal_logs_in(MemoryContext context, TimestampTz end) {
    FoundLogs found = {};
    const char* failure = in_transaction("looking for logs", share_of_time(end, 1),
                                         [&found, context] { found = find_logs(context); });
    if (found.count > 0) {
        set_sealer_sealing();
    }
    std::uint64_t done = 0;
    for (; done < found.count && (end != DT_NOEND || !must_stop()); done++) {
        const FoundLog& log = found.logs[done];
        const char* fault = in_transaction(psprintf("sealing log %s", log.name),
                                           share_of_time(end, found.count - done),
                                           [&log] { seal_found_log(log.relation); });
        failure = failure ? failure : fault;
    }
    if (done == found.count) {
        report_sealing(failure);
    }
    return found.count > 0 || failure != nullptr || must_stop();
}

// Returns whether the database has logs, or may have some.
bool seal_logs(TimestampTz end) {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "auditchain sealing", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    bool has_logs = seal_logs_in(context, end);
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    return has_logs;
}

// Applies the retention policies, each in a transaction of its own.
void apply_policies() {
    MemoryContext context =
        AllocSetContextCreate(TopMemoryContext, "auditchain retention", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    List* logs = NIL;
    in_transaction("looking for retention policies", 0,
                   [&logs, context] { logs = find_retained_logs(context); });
    ListCell* cell;
    foreach (cell, logs) {
        if (must_stop()) {
            break;
        }
        const auto* log = static_cast<RetainedLog*>(lfirst(cell));
        in_transaction(psprintf("applying retention to log %s", log->name), 0,
                       [log] { apply_policy(log->relation); });
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

void wait_milliseconds(long milliseconds) {
    static const std::uint32_t event = compat::wait_event("AuditchainSealer");
    WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, milliseconds, event);
    ResetLatch(MyLatch);
    CHECK_FOR_INTERRUPTS();
}

// Waits until then, or until there is something else to do.
void wait_until(TimestampTz time) {
    long left;
    // Who cancels what is not running cancels nothing.
    HOLD_CANCEL_INTERRUPTS();
    while (!must_stop() && !ConfigReloadPending &&
           (left = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), time)) > 0) {
        wait_milliseconds(left);
    }
    RESUME_CANCEL_INTERRUPTS();
    QueryCancelPending = false;
}

// The last checkpoint has what the sessions committed that the same shutdown ends, if they end
// soon.
void seal_last() {
    TimestampTz now = GetCurrentTimestamp();
    TimestampTz others_end = TimestampTzPlusMilliseconds(now, kLastWaitMilliseconds);
    HOLD_CANCEL_INTERRUPTS();
    while (CountDBBackends(MyDatabaseId) > 1 && GetCurrentTimestamp() < others_end) {
        wait_milliseconds(10);
    }
    RESUME_CANCEL_INTERRUPTS();
    QueryCancelPending = false;
    seal_logs(TimestampTzPlusMilliseconds(now, kLastMilliseconds));
}

[[noreturn]] void run() {
    TimestampTz applied_at = 0;
    for (;;) {
        if (ConfigReloadPending) {
            ConfigReloadPending = false;
            ProcessConfigFile(PGC_SIGHUP);
        }
        if (ShutdownRequestPending && checkpoint_interval > 0) {
            seal_last();
        }
        if (must_stop() || checkpoint_interval == 0) {
            end_sealer(true);
        }
        TimestampTz start = GetCurrentTimestamp();
        if (!seal_logs(DT_NOEND)) {
            end_sealer(false);
        }
        if (retention_interval > 0 && !must_stop() &&
            start >= TimestampTzPlusMilliseconds(
                         applied_at, 1000 * static_cast<std::int64_t>(retention_interval))) {
            applied_at = start;
            apply_policies();
        }
        wait_until(TimestampTzPlusMilliseconds(
            start, 1000 * static_cast<std::int64_t>(checkpoint_interval)));
    }
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

void auditchain_sealer_main(Datum slot) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, die);
    BackgroundWorkerUnblockSignals();
    Oid database = enter_sealer_slot(DatumGetInt32(slot));
    if (!OidIsValid(database)) {
        proc_exit(0);
    }
    fix_settings();
    BackgroundWorkerInitializeConnectionByOid(database, InvalidOid, 0);
    set_sealer_connected();
    // The database may have a setting for `role`.
    SetUserIdAndSecContext(BOOTSTRAP_SUPERUSERID, 0);
    pqsignal(SIGTERM, request_shutdown);
    run();
}
