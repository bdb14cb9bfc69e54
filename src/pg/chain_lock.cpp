#include "pg/chain_lock.h"

#include "pg/lane_board.h"

extern "C" {
#include <common/hashfn.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <portability/instr_time.h>
#include <storage/lock.h>
}

namespace auditchain::pg {
namespace {

// Keys share this many locks per lane, so that a transaction that writes to a million keys does not
// exhaust the lock table. Keys that share one wait for each other where they need not, or take
// another lane; they never do wrong.
constexpr std::uint32_t kLocksPerLane = 1024;

// The lock manager hands a lock to the first of its queue, which sleeps, and lets nobody pass until
// that has woken: a queue that has formed keeps everyone waiting for one wake-up after another. So
// a writer that finds its lane taken stays out of that queue for a while. It sleeps until the lane
// is announced as free, and takes the lane if nobody was faster. The queue comes after that, since
// only it finds deadlocks and is fair. Measured: bench/README.md.
constexpr int kMillisecondsBeforeQueueing = 100;

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

bool try_lock(const LOCKTAG& tag) {
    if (LockAcquire(&tag, ExclusiveLock, kSession, true) == LOCKACQUIRE_NOT_AVAIL) {
        return false;
    }
    note_taken(tag);
    return true;
}

bool take_if_free(const LOCKTAG& tag) {
    return !seems_taken(tag) && try_lock(tag);
}

double milliseconds_since(const instr_time& start) {
    instr_time passed;
    INSTR_TIME_SET_CURRENT(passed);
    INSTR_TIME_SUBTRACT(passed, start);
    return INSTR_TIME_GET_MILLISEC(passed);
}

// Takes the lock as soon as it is free, without queueing for it; gives up after a while.
bool take_when_free(const LOCKTAG& tag) {
    instr_time start;
    INSTR_TIME_SET_CURRENT(start);
    bool announced = true;
    bool taken;
    // Where no announcement comes, only the lock itself is believed.
    while (!(taken = announced ? take_if_free(tag) : try_lock(tag)) &&
           milliseconds_since(start) < kMillisecondsBeforeQueueing) {
        announced = sleep_until_free(tag);
    }
    stop_sleeping();
    return taken;
}

}  // namespace

int lock_lane(const ChainKey& key, int lanes) {
    for (int lane = 0; lane < lanes; lane++) {
        LOCKTAG tag = chain_lock(key, lane);
        if (take_if_free(tag)) {
            return lane;
        }
    }
    // All are taken: those who wait spread over them.
    int lane = MyProcPid % lanes;
    lock_given_lane(key, lane);
    return lane;
}

void lock_given_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    if (!take_when_free(tag)) {
        LockAcquire(&tag, ExclusiveLock, kSession, false);
        note_taken(tag);
    }
}

void unlock_lane(const ChainKey& key, int lane) {
    LOCKTAG tag = chain_lock(key, lane);
    LockRelease(&tag, ExclusiveLock, kSession);
    announce_free(tag);
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
