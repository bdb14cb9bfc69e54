#include "pg/sealer_slots.h"

#include "pg/shared_memory.h"

#include <utility>

extern "C" {
#include <miscadmin.h>
#include <postmaster/bgworker.h>
#include <signal.h>
#include <storage/ipc.h>
#include <storage/latch.h>
#include <storage/lwlock.h>
#include <storage/proc.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

constexpr int kRestartSeconds = 5;  // after an error

struct Sealers {
    Latch* launcher;  // nullptr: there is none
    bool look;
    bool short_of_workers;
    SealerSlot slots[FLEXIBLE_ARRAY_MEMBER];
};

Sealers* sealers = nullptr;
LWLock* lock = nullptr;  // of all of it

SealerSlot* own_slot = nullptr;  // of this process, when it is a sealer
bool is_done = false;            // it ends on purpose,
bool has_work = false;           // and is to be started again

std::span<SealerSlot> all_slots() {
    return {sealers->slots, static_cast<std::size_t>(max_worker_processes)};
}

Size sealers_size() {
    return add_size(offsetof(Sealers, slots), mul_size(max_worker_processes, sizeof(SealerSlot)));
}

void attach_slots(void* memory, bool) {
    sealers = static_cast<Sealers*>(memory);
    lock = &GetNamedLWLockTranche("auditchain_sealers")->lock;
}

SharedMemory shared_memory = {"auditchain sealers", sealers_size, attach_slots,
                              "auditchain_sealers", 1};

// Runs an action that raises no error on the slots.
template <typename Action>
auto with_slots(LWLockMode mode, Action action) {
    LWLockAcquire(lock, mode);
    auto result = action();
    LWLockRelease(lock);
    return result;
}

SealerSlot* find_slot(Oid database) {
    auto slots = all_slots();
    auto slot = std::find_if(slots.begin(), slots.end(), [database](const SealerSlot& candidate) {
        return candidate.database == database;
    });
    return slot == slots.end() ? nullptr : &*slot;
}

void enter_phase(SealerSlot* slot, SealerPhase phase, TimestampTz since) {
    slot->phase = phase;
    slot->since = since;
}

bool wake_launcher() {
    if (sealers->launcher != nullptr) {
        SetLatch(sealers->launcher);
    }
    return sealers->launcher != nullptr;
}

void leave_launcher(int, Datum) {
    with_slots(LW_EXCLUSIVE, [] {
        sealers->launcher = nullptr;
        return true;
    });
}

void leave_sealer_slot(int, Datum) {
    TimestampTz now = GetCurrentTimestamp();
    with_slots(LW_EXCLUSIVE, [now] {
        if (own_slot->phase == SealerPhase::kSealing ? !is_done || has_work : own_slot->leave) {
            TimestampTz soon = TimestampTzPlusMilliseconds(now, 1000 * kRestartSeconds);
            enter_phase(own_slot, SealerPhase::kWaiting, is_done ? now : soon);
            own_slot->pid = 0;
            own_slot->connected = false;
        } else {
            *own_slot = {};
        }
        return wake_launcher();
    });
}

}  // namespace

bool has_sealer_slots() {
    return sealers != nullptr;
}

bool has_launcher() {
    return has_sealer_slots() && with_slots(LW_SHARED, [] { return sealers->launcher != nullptr; });
}

bool is_short_of_workers() {
    return has_sealer_slots() && with_slots(LW_SHARED, [] { return sealers->short_of_workers; });
}

bool find_sealer(Oid database, SealerSlot* copy) {
    return has_sealer_slots() && with_slots(LW_SHARED, [database, copy] {
               const SealerSlot* slot = find_slot(database);
               if (slot != nullptr) {
                   *copy = *slot;
               }
               return slot != nullptr;
           });
}

void request_look() {
    if (has_sealer_slots()) {
        with_slots(LW_EXCLUSIVE, [] {
            sealers->look = true;
            return wake_launcher();
        });
    }
}

bool ask_sealer_to_leave(Oid database) {
    return with_slots(LW_EXCLUSIVE, [database] {
        SealerSlot* slot = find_slot(database);
        if (slot == nullptr) {
            return false;
        }
        slot->leave = true;
        // Who is not connected yet waits for a lock on the database, or sees it at once.
        if (slot->connected) {
            kill(slot->pid, SIGINT);
        }
        return slot->connected;
    });
}

void enter_launcher() {
    on_shmem_exit(leave_launcher, 0);
    with_slots(LW_EXCLUSIVE, [] {
        sealers->launcher = &MyProc->procLatch;
        return true;
    });
}

bool take_look_request() {
    return with_slots(LW_EXCLUSIVE, [] { return std::exchange(sealers->look, false); });
}

int copy_sealer_slots(SealerSlot* copies) {
    return with_slots(LW_SHARED, [copies] {
        auto end = std::copy_if(all_slots().begin(), all_slots().end(), copies,
                                [](const SealerSlot& slot) { return OidIsValid(slot.database); });
        return static_cast<int>(end - copies);
    });
}

int reserve_sealer_slot(Oid database) {
    TimestampTz now = GetCurrentTimestamp();
    return with_slots(LW_EXCLUSIVE, [database, now] {
        SealerSlot* slot = find_slot(database);
        if (slot == nullptr) {
            slot = find_slot(InvalidOid);
        }
        if (slot == nullptr) {
            return -1;
        }
        slot->database = database;
        slot->leave = false;
        enter_phase(slot, SealerPhase::kStarting, now);
        return static_cast<int>(slot - sealers->slots);
    });
}

void free_sealer_slot(Oid database) {
    with_slots(LW_EXCLUSIVE, [database] {
        *find_slot(database) = {};
        return true;
    });
}

void set_short_of_workers(bool is_short) {
    with_slots(LW_EXCLUSIVE, [is_short] { return sealers->short_of_workers = is_short; });
}

Oid enter_sealer_slot(int number) {
    TimestampTz now = GetCurrentTimestamp();
    SealerSlot* slot = &sealers->slots[number];
    bool is_ours = with_slots(LW_EXCLUSIVE, [slot, now] {
        if (slot->phase != SealerPhase::kStarting || !OidIsValid(slot->database)) {
            return false;
        }
        slot->pid = MyProcPid;
        enter_phase(slot, SealerPhase::kLooking, now);
        return true;
    });
    if (!is_ours) {
        return InvalidOid;
    }
    own_slot = slot;
    // It runs when the process is no longer in the database.
    on_shmem_exit(leave_sealer_slot, 0);
    return slot->database;
}

void set_sealer_connected() {
    with_slots(LW_EXCLUSIVE, [] { return own_slot->connected = true; });
}

void set_sealer_sealing() {
    TimestampTz now = GetCurrentTimestamp();
    with_slots(LW_EXCLUSIVE, [now] {
        enter_phase(own_slot, SealerPhase::kSealing, now);
        return wake_launcher();
    });
}

void report_sealing(const char* failure) {
    TimestampTz now = GetCurrentTimestamp();
    with_slots(LW_EXCLUSIVE, [now, failure] {
        own_slot->sealed_at = now;
        return strlcpy(own_slot->failure, failure ? failure : "", sizeof own_slot->failure);
    });
}

bool must_sealer_leave() {
    return with_slots(LW_SHARED, [] { return own_slot->leave; });
}

void end_sealer(bool has_logs) {
    is_done = true;
    has_work = has_logs;
    proc_exit(0);
}

void init_sealer_slots() {
    request_shared_memory(&shared_memory);
}

}  // namespace auditchain::pg
