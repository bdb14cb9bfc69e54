// Who holds which lane, and where those sleep who wait for one: in shared memory, where the library
// is in shared_preload_libraries. Advice only: a lane belongs to who has its lock.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <storage/lock.h>
}

namespace auditchain::pg {

// Whether another transaction that noted itself as the holder of this lock still runs: asked
// without the lock manager, and wrong for moments only.
bool seems_taken(const LOCKTAG& lane);

// Notes that this transaction has the lock; its end takes that back by itself.
void note_taken(const LOCKTAG& lane);

// Wakes one of those who sleep until this lock is free.
void announce_free(const LOCKTAG& lane);

// Sleeps until somebody announces the lock; returns false when nobody did for some milliseconds.
// The first call returns at once, and from then to stop_sleeping() no announcement is missed. An
// interrupt raises its error.
bool sleep_until_free(const LOCKTAG& lane);
void stop_sleeping();

// Reserves the shared memory; called while shared_preload_libraries are loaded.
void init_lane_board();

}  // namespace auditchain::pg
