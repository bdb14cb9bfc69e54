#include "pg/progress.h"

#include "pg/shared_memory.h"

extern "C" {
#include <funcapi.h>
#include <miscadmin.h>
#include <port/atomics.h>
#include <storage/proc.h>
#include <storage/spin.h>
#include <utils/memutils.h>
#include <utils/timestamp.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

// What a backend is at.
struct Work {
    int pid;  // 0: nothing
    Oid database;
    Oid log;
    char command[16];
    char phase[32];
    std::int64_t total;
    TimestampTz started_at;
};

struct Slot {
    slock_t mutex;  // of work
    Work work;
    pg_atomic_uint64 done;
};

Slot* slots = nullptr;  // one a backend

bool working = false;  // this backend shows something

Size slots_size() {
    return mul_size(MaxBackends, sizeof(Slot));
}

void attach_slots(void* memory, bool is_new) {
    slots = static_cast<Slot*>(memory);
    for (int i = 0; is_new && i < MaxBackends; i++) {
        SpinLockInit(&slots[i].mutex);
        pg_atomic_init_u64(&slots[i].done, 0);
    }
}

SharedMemory shared_memory = {"auditchain progress", slots_size, attach_slots};

// A backend's place among all processes; those behind MaxBackends are no backends.
int own_number() {
    auto number = static_cast<int>(MyProc - ProcGlobal->allProcs);
    return number < MaxBackends ? number : -1;
}

void show(Slot* slot, const Work& work) {
    SpinLockAcquire(&slot->mutex);
    slot->work = work;
    SpinLockRelease(&slot->mutex);
    pg_atomic_write_u64(&slot->done, 0);
}

void end_progress(void*) {
    working = false;
    show(&slots[own_number()], Work{});
}

}  // namespace

void begin_progress(Oid log, const char* command, const char* phase, std::int64_t total) {
    if (slots == nullptr || working || own_number() < 0) {
        return;
    }
    auto* callback = static_cast<MemoryContextCallback*>(palloc0(sizeof(MemoryContextCallback)));
    callback->func = end_progress;
    MemoryContextRegisterResetCallback(CurrentMemoryContext, callback);
    Work work = {MyProcPid, MyDatabaseId, log, "", "", total, GetCurrentTimestamp()};
    strlcpy(work.command, command, sizeof work.command);
    strlcpy(work.phase, phase, sizeof work.phase);
    show(&slots[own_number()], work);
    working = true;
}

void enter_phase(const char* phase, std::int64_t total) {
    if (!working) {
        return;
    }
    Slot* slot = &slots[own_number()];
    Work work = slot->work;  // nobody else writes it
    strlcpy(work.phase, phase, sizeof work.phase);
    work.total = total;
    show(slot, work);
}

int progress_slot() {
    return working ? own_number() : -1;
}

void advance_progress(int slot, std::int64_t entries) {
    if (slot >= 0) {
        pg_atomic_fetch_add_u64(&slots[slot].done, entries);
    }
}

void init_progress() {
    request_shared_memory(&shared_memory);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// _progress() → SETOF (pid, log, command, phase, entries_done, entries_total, started_at), of this
// database
AUDITCHAIN_FUNCTION(auditchain_progress) {
    InitMaterializedSRF(fcinfo, 0);
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    for (int i = 0; slots != nullptr && i < MaxBackends; i++) {
        SpinLockAcquire(&slots[i].mutex);
        Work work = slots[i].work;
        SpinLockRelease(&slots[i].mutex);
        if (work.pid == 0 || work.database != MyDatabaseId) {
            continue;
        }
        Datum values[] = {
            Int32GetDatum(work.pid),
            ObjectIdGetDatum(work.log),
            CStringGetTextDatum(work.command),
            CStringGetTextDatum(work.phase),
            Int64GetDatum(static_cast<std::int64_t>(pg_atomic_read_u64(&slots[i].done))),
            Int64GetDatum(work.total),
            TimestampTzGetDatum(work.started_at)};
        bool nulls[lengthof(values)] = {};
        nulls[5] = work.total < 0;
        tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
    }
    return 0;
}
