#include "pg/chain_lock.h"

extern "C" {
#include <common/hashfn.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <storage/lock.h>
}

#include <sched.h>

namespace auditchain::pg {
namespace {

// Keys share this many locks per lane, so that a transaction that writes to a million keys does not
// exhaust the lock table. Keys that share one wait for each other where they need not, or take
// another lane; they never do wrong.
constexpr std::uint32_t kLocksPerLane = 1024;

// The lock manager grants a lock to the first of its queue, which sleeps, and lets nobody pass
// until that has woken: a queue that has formed keeps all waiting. So a writer that finds a chain
// taken lets others run and tries again, for some milliseconds, before it queues. Measured:
// bench/README.md.
constexpr int kTriesBeforeQueueing = 2000;

constexpr bool kSession = true;
constexpr bool kTransaction = false;

std::uint32_t lock_number(std::string_view key) {
    return hash_bytes(reinterpret_cast<const unsigned char*>(key.data()),
                      static_cast<int>(key.size())) %
           kLocksPerLane;
}

// An object lock whose class is the log itself, which no command takes: not to be had from SQL,
// seen by the deadlock detector, shown in pg_locks with classid = the log and objsubid = the lane.
LOCKTAG chain_lock(const ChainKey& key, int lane) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, key.log, lock_number({key.text, key.length}), lane);
    return tag;
}

bool try_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    return LockAcquire(&tag, ExclusiveLock, kSession, true) != LOCKACQUIRE_NOT_AVAIL;
}

}  // namespace

int lock_lane(const ChainKey& key, int lanes) {
    for (int lane = 0; lane < lanes; lane++) {
        if (try_lane(key, lane)) {
            return lane;
        }
    }
    // All are taken: those who wait spread over them.
    int lane = MyProcPid % lanes;
    for (int tries = 0; tries < kTriesBeforeQueueing; tries++) {
        CHECK_FOR_INTERRUPTS();
        sched_yield();
        if (try_lane(key, lane)) {
            return lane;
        }
    }
    lock_given_lane(key, lane);
    return lane;
}

void lock_given_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockAcquire(&tag, ExclusiveLock, kSession, false);
}

void unlock_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockRelease(&tag, ExclusiveLock, kSession);
}

void hand_lane_to_transaction(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockAcquire(&tag, ExclusiveLock, kTransaction, false);
    LockRelease(&tag, ExclusiveLock, kSession);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// _lock_number(key text) → oid: the objid under which pg_locks shows the locks of a key's chains.
AUDITCHAIN_FUNCTION(auditchain_lock_number) {
    const char* key = text_to_cstring(PG_GETARG_TEXT_PP(0));
    const char* utf8 = pg_server_to_any(key, static_cast<int>(strlen(key)), PG_UTF8);
    PG_RETURN_OID(lock_number(utf8));
}
