// Verification of what is sealed: does the log still have the tree that its checkpoints are of?
#pragma once

#include "pg/faulty_places.h"
#include "pg/verify.h"

namespace auditchain::pg {

struct SealedPart {
    std::int32_t checkpoints;
    std::int64_t entries;  // covered by the newest
};

// Reports sealed entries that are gone from the ends of chains (tail_missing) and checkpoints that
// are not of the log as it is (checkpoint_mismatch), but for those that the faulty places explain.
// Reads all sealed entries by the index, in the active snapshot: in parallel where the entries are
// known to be intact by themselves and the tree is, too. SPI is connected.
SealedPart verify_checkpoints(const Log& log, bool entries_intact, FaultyPlaces* faulty,
                              const ViolationReceiver& receiver);

}  // namespace auditchain::pg
