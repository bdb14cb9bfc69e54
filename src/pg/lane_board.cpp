#include "pg/lane_board.h"

#include "pg/shared_memory.h"

#include <bit>
#include <span>

extern "C" {
#include <common/hashfn.h>
#include <miscadmin.h>
#include <port/atomics.h>
#include <storage/condition_variable.h>
#include <storage/lwlock.h>
#include <storage/proc.h>
#include <utils/wait_event.h>
}

namespace auditchain::pg {
namespace {

// A lock has the slot that its hash names, and shares it with others.
constexpr int kSlotBits = 12;
constexpr std::uint32_t kSlots = 1U << kSlotBits;

// Not every lock that becomes free is announced: COMMIT PREPARED comes from a session that knows
// nothing of it, and an announcement wakes one sleeper of a slot, which may wait for another lock
// or be cancelled.
constexpr long kSleepMilliseconds = 10;

// Without shared memory nobody announces anything.
constexpr long kNapMicroseconds = 50;

// As the lock manager's own queue shows in pg_stat_activity.
constexpr std::uint32_t kWaitEvent = PG_WAIT_LOCK | LOCKTAG_OBJECT;

struct LaneSlot {
    pg_atomic_uint64 holder;
    ConditionVariable free;
};

// A holder in one word: what of the lock's hash is not the slot's number, the backend's place among
// the PGPROCs, and the low bits of its transaction's local number. The PGPROC loses that number
// when the transaction ends, however it ends; so no holder goes stale.
constexpr int kTransactionBits = 24;
struct Holder {
    std::uint64_t lock : 32 - kSlotBits;
    std::uint64_t backend : 20;
    std::uint64_t transaction : kTransactionBits;
};

LaneSlot* slots = nullptr;

std::uint32_t hash_of(const LOCKTAG& lane) {
    return hash_bytes(reinterpret_cast<const unsigned char*>(&lane), sizeof lane);
}

LaneSlot& slot_of(std::uint32_t hash) {
    return slots[hash % kSlots];
}

// 0: it is in none.
std::uint64_t transaction_of(const PGPROC* backend) {
    return compat::local_transaction(backend) % (1U << kTransactionBits);
}

Size board_size() {
    return kSlots * sizeof(LaneSlot);
}

void attach_board(void* memory, bool is_new) {
    slots = static_cast<LaneSlot*>(memory);
    for (LaneSlot& slot : std::span(slots, is_new ? kSlots : 0)) {
        pg_atomic_init_u64(&slot.holder, 0);
        ConditionVariableInit(&slot.free);
    }
}

SharedMemory shared_memory = {"auditchain lanes", board_size, attach_board};

}  // namespace

bool seems_taken(const LOCKTAG& lane) {
    if (slots == nullptr) {
        return false;
    }
    std::uint32_t hash = hash_of(lane);
    auto holder = std::bit_cast<Holder>(pg_atomic_read_u64(&slot_of(hash).holder));
    const PGPROC* backend = &ProcGlobal->allProcs[holder.backend];
    return holder.lock == hash >> kSlotBits && holder.transaction != 0 && backend != MyProc &&
           holder.transaction == transaction_of(backend);
}

void note_taken(const LOCKTAG& lane) {
    if (slots == nullptr) {
        return;
    }
    std::uint32_t hash = hash_of(lane);
    Holder holder = {hash >> kSlotBits, static_cast<std::uint64_t>(MyProc - ProcGlobal->allProcs),
                     transaction_of(MyProc)};
    pg_atomic_write_u64(&slot_of(hash).holder, std::bit_cast<std::uint64_t>(holder));
}

void announce_free(const LOCKTAG& lane) {
    if (slots != nullptr) {
        ConditionVariableSignal(&slot_of(hash_of(lane)).free);
    }
}

bool sleep_until_free(const LOCKTAG& lane) {
    if (slots != nullptr) {
        return !ConditionVariableTimedSleep(&slot_of(hash_of(lane)).free, kSleepMilliseconds,
                                            kWaitEvent);
    }
    CHECK_FOR_INTERRUPTS();
    pgstat_report_wait_start(kWaitEvent);
    pg_usleep(kNapMicroseconds);
    pgstat_report_wait_end();
    return false;
}

void stop_sleeping() {
    ConditionVariableCancelSleep();
}

void init_lane_board() {
    request_shared_memory(&shared_memory);
}

}  // namespace auditchain::pg
