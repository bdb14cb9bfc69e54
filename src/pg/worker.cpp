#include "pg/worker.h"

#include "pg/key_ring.h"
#include "pg/sealer_slots.h"
#include "pg/settings.h"

extern "C" {
#include <access/genam.h>
#include <access/heapam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/pg_database.h>
#include <libpq/pqsignal.h>
#include <miscadmin.h>
#include <pgstat.h>
#include <postmaster/bgworker.h>
#include <postmaster/interrupt.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <storage/lock.h>
#include <storage/proc.h>
#include <tcop/tcopprot.h>
#include <utils/fmgroids.h>
#include <utils/guc.h>
#include <utils/memutils.h>
#include <utils/relcache.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

constexpr int kRestartSeconds = 5;  // of the launcher, after an error
// Databases without logs are looked into this often: a log may come by a restore, which asks
// nobody.
constexpr int kLookSeconds = 60;
constexpr int kRetrySeconds = 1;   // where a database is locked, or the server has no free worker
constexpr int kSettleSeconds = 5;  // for a sealer to start, and see whether there are logs

List* due = NIL;  // OIDs of databases that are to have a sealer
TimestampTz next_look = 0;
bool new_log = false;  // of this transaction

TimestampTz after(TimestampTz time, int seconds) {
    return TimestampTzPlusMilliseconds(time, 1000 * static_cast<std::int64_t>(seconds));
}

// Databases that can be connected to; -2 marks one whose DROP DATABASE was interrupted.
bool is_open(HeapTuple tuple) {
    auto* database = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple));
    return database->datallowconn && database->datconnlimit != -2;
}

void add_due(Oid database) {
    MemoryContext caller = MemoryContextSwitchTo(TopMemoryContext);
    due = list_append_unique_oid(due, database);
    MemoryContextSwitchTo(caller);
}

void add_all_databases() {
    Relation databases = table_open(DatabaseRelationId, AccessShareLock);
    TableScanDesc scan = table_beginscan_catalog(databases, 0, nullptr);
    while (HeapTuple tuple = heap_getnext(scan, ForwardScanDirection)) {
        if (is_open(tuple)) {
            add_due(reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->oid);
        }
    }
    table_endscan(scan);
    table_close(databases, AccessShareLock);
}

// Finds a database that can be connected to.
bool find_database(Oid oid, NameData* name) {
    Relation databases = table_open(DatabaseRelationId, AccessShareLock);
    ScanKeyData key;
    ScanKeyInit(&key, Anum_pg_database_oid, BTEqualStrategyNumber, F_OIDEQ, ObjectIdGetDatum(oid));
    // Without a database, the index can be read only where another process has left the server a
    // cache file of it.
    SysScanDesc scan = systable_beginscan(databases, DatabaseOidIndexId,
                                          criticalSharedRelcachesBuilt, nullptr, 1, &key);
    HeapTuple tuple = systable_getnext(scan);
    bool found = HeapTupleIsValid(tuple) && is_open(tuple);
    if (found) {
        *name = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datname;
    }
    systable_endscan(scan);
    table_close(databases, AccessShareLock);
    return found;
}

// Whether somebody drops, renames, moves or copies the database: a sealer would wait for that, and
// fail if it was dropped. The lock is held to the end of the transaction.
bool is_locked(Oid database) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, InvalidOid, DatabaseRelationId, database, 0);
    return LockAcquire(&tag, RowExclusiveLock, false, true) == LOCKACQUIRE_NOT_AVAIL;
}

bool start_process(int slot, const NameData& database) {
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = BGW_NEVER_RESTART;
    worker.bgw_main_arg = Int32GetDatum(slot);
    strlcpy(worker.bgw_library_name, "auditchain", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "auditchain_sealer_main", sizeof worker.bgw_function_name);
    snprintf(worker.bgw_name, sizeof worker.bgw_name, "auditchain sealer of %s", NameStr(database));
    strlcpy(worker.bgw_type, "auditchain sealer", sizeof worker.bgw_type);
    return RegisterDynamicBackgroundWorker(&worker, nullptr);
}

// False when the server has no worker for it.
bool start_sealer(Oid database, const NameData& name) {
    int slot = reserve_sealer_slot(database);
    bool started = slot >= 0 && start_process(slot, name);
    if (slot >= 0 && !started) {
        free_sealer_slot(database);
    }
    if (!started && !is_short_of_workers()) {
        ereport(LOG, errcode(ERRCODE_INSUFFICIENT_RESOURCES),
                errmsg("auditchain cannot start a sealer for database \"%s\"", NameStr(name)),
                errdetail("All background workers of the server are in use."),
                errhint("Raise max_worker_processes."));
    }
    set_short_of_workers(!started);
    return started;
}

// Starts a sealer for the first of the databases due that can have one, and forgets those before it
// that are gone or have one.
void start_next_sealer() {
    ListCell* cell;
    foreach (cell, due) {
        Oid database = lfirst_oid(cell);
        SealerSlot slot = {};
        bool has_slot = find_sealer(database, &slot);
        NameData name;
        if (slot.pid != 0) {
            due = foreach_delete_current(due, cell);
        } else if (!find_database(database, &name)) {
            if (has_slot) {
                free_sealer_slot(database);
            }
            due = foreach_delete_current(due, cell);
        } else if (!is_locked(database)) {
            if (start_sealer(database, name)) {
                due = foreach_delete_current(due, cell);
            }
            return;
        }
    }
}

// Does what is due, and returns when there is more to do unless the latch is set before. Databases
// are looked into one after another, so that it takes no more than one of the server's workers.
TimestampTz launch(std::span<SealerSlot> copies) {
    TimestampTz now = GetCurrentTimestamp();
    auto slots = copies.first(static_cast<std::size_t>(copy_sealer_slots(copies.data())));
    TimestampTz next = DT_NOEND;
    for (const SealerSlot& slot : slots) {
        bool is_settled =
            slot.phase == SealerPhase::kSealing || slot.phase == SealerPhase::kWaiting;
        if (!is_settled && now < after(slot.since, kSettleSeconds)) {
            return after(slot.since, kSettleSeconds);
        }
        if (slot.phase == SealerPhase::kWaiting && slot.since > now) {
            next = std::min(next, slot.since);
        } else if (slot.pid == 0) {
            add_due(slot.database);
        }
    }
    StartTransactionCommand();
    GetTransactionSnapshot();
    if (take_look_request() || now >= next_look) {
        add_all_databases();
        next_look = after(now, kLookSeconds);
    }
    start_next_sealer();
    CommitTransactionCommand();
    // One that has just been started wakes the launcher when it has settled.
    return std::min({next, next_look, due != NIL ? after(now, kRetrySeconds) : DT_NOEND});
}

// Waits until then, or until the latch is set.
void wait_until(TimestampTz time) {
    static const std::uint32_t event = compat::wait_event("AuditchainLauncher");
    int events = WL_LATCH_SET | WL_EXIT_ON_PM_DEATH;
    long milliseconds = -1;
    if (time != DT_NOEND) {
        events |= WL_TIMEOUT;
        milliseconds = TimestampDifferenceMilliseconds(GetCurrentTimestamp(), time);
    }
    WaitLatch(MyLatch, events, milliseconds, event);
}

void reload() {
    ConfigReloadPending = false;
    ProcessConfigFile(PGC_SIGHUP);
    reload_keys();
    next_look = 0;
}

void wake_at_commit(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT && new_log) {
        request_look();
    }
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
        new_log = false;
    }
}

}  // namespace

void seal_after_commit() {
    new_log = true;
}

void init_worker() {
    init_sealer_slots();
    RegisterXactCallback(wake_at_commit, nullptr);
    BackgroundWorker worker = {};
    worker.bgw_flags = BGWORKER_SHMEM_ACCESS | BGWORKER_BACKEND_DATABASE_CONNECTION;
    worker.bgw_start_time = BgWorkerStart_RecoveryFinished;
    worker.bgw_restart_time = kRestartSeconds;
    strlcpy(worker.bgw_library_name, "auditchain", sizeof worker.bgw_library_name);
    strlcpy(worker.bgw_function_name, "auditchain_launcher_main", sizeof worker.bgw_function_name);
    strlcpy(worker.bgw_name, "auditchain launcher", sizeof worker.bgw_name);
    strlcpy(worker.bgw_type, "auditchain launcher", sizeof worker.bgw_type);
    RegisterBackgroundWorker(&worker);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

void auditchain_launcher_main(Datum) {
    pqsignal(SIGHUP, SignalHandlerForConfigReload);
    pqsignal(SIGTERM, SignalHandlerForShutdownRequest);
    BackgroundWorkerUnblockSignals();
    BackgroundWorkerInitializeConnection(nullptr, nullptr, 0);
    enter_launcher();
    auto count = static_cast<std::size_t>(max_worker_processes);
    std::span<SealerSlot> copies = {
        static_cast<SealerSlot*>(palloc(mul_size(count, sizeof(SealerSlot)))), count};
    while (!ShutdownRequestPending) {
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
        if (ConfigReloadPending) {
            reload();
        }
        TimestampTz evolve_at = evolve_keys();
        TimestampTz launch_at = checkpoint_interval > 0 ? launch(copies) : DT_NOEND;
        wait_until(std::min(evolve_at, launch_at));
    }
    // The server starts a worker again unless it exits with 0.
    proc_exit(1);
}
