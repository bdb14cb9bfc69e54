#include "pg/chain_lock.h"

extern "C" {
#include <common/hashfn.h>
#include <miscadmin.h>
#include <storage/lock.h>
}

namespace auditchain::pg {
namespace {

// Keys share this many locks per lane, so that a transaction that writes to a million keys does not
// exhaust the lock table. Keys that share one wait for each other where they need not, or take
// another lane; they never do wrong.
constexpr std::uint32_t kLocksPerLane = 4096;

// An object lock whose class is the log itself, which no command takes: not to be had from SQL,
// seen by the deadlock detector, shown in pg_locks with classid = the log and objsubid = the lane.
LOCKTAG chain_lock(const ChainKey& key, int lane) {
    std::uint32_t hash =
        hash_bytes(reinterpret_cast<const unsigned char*>(key.text), static_cast<int>(key.length));
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, key.log, hash % kLocksPerLane, lane);
    return tag;
}

}  // namespace

int lock_lane(const ChainKey& key, int lanes) {
    constexpr bool kSession = true;
    for (int lane = 0; lane < lanes; lane++) {
        LOCKTAG tag = chain_lock(key, lane);
        if (LockAcquire(&tag, ExclusiveLock, kSession, true) != LOCKACQUIRE_NOT_AVAIL) {
            return lane;
        }
    }
    // All are taken: those who wait spread over them.
    int lane = MyProcPid % lanes;
    LOCKTAG tag = chain_lock(key, lane);
    LockAcquire(&tag, ExclusiveLock, kSession, false);
    return lane;
}

void unlock_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockRelease(&tag, ExclusiveLock, true);
}

void hand_lane_to_transaction(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockAcquire(&tag, ExclusiveLock, false, false);
    LockRelease(&tag, ExclusiveLock, true);
}

}  // namespace auditchain::pg
