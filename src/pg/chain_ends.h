// How far each chain of a log reaches: its newest entry, and the newest that is sealed.
#pragma once

#include "core/digest.h"
#include "pg/log.h"

namespace auditchain::pg {

struct ChainEnd {
    std::int32_t chain_id;
    std::string_view key;  // UTF-8
    int lane;
    std::int64_t sealed;    // newest position that a checkpoint covers; 0: none
    std::int64_t archived;  // newest position that is in an archive; 0: none
    std::int64_t newest;    // newest position that the active snapshot sees; 0: the chain is empty
    bool has_checksum;      // false: what stands there is none
    Digest checksum;        // of the newest entry
};

struct ChainEndReceiver {
    void (*take)(void* state, const ChainEnd& end);
    void* state;
};

// What is archived counts as there. Calls the receiver for each chain of the log, by chain number.
// Reads by the index on (chain_id, chain_position), with the caller's rights, some hundred chains
// at a time. SPI is connected; the receiver may use it.
void read_chain_ends(const Log& log, const ChainEndReceiver& receiver);

}  // namespace auditchain::pg
