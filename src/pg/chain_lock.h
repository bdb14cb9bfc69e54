// The lock that makes a chain's writers go one after another.
#pragma once

#include "pg/chain.h"

namespace auditchain::pg {

// Takes the first free lane of a key, waiting only when all are taken; returns the lane. The lock
// is the session's: it outlives savepoints, and the end of the transaction has to free it. (An
// abort frees it by itself, but tells nobody.)
int lock_lane(const ChainKey& key, int lanes);

// Takes the lock of one lane, waiting for it.
void lock_given_lane(const ChainKey& key, int lane);

// Frees the lock of a lane.
void unlock_lane(const ChainKey& key, int lane);

// Makes the session's lock the transaction's, so that it goes with a prepared transaction.
void hand_lane_to_transaction(const ChainKey& key, int lane);

}  // namespace auditchain::pg
