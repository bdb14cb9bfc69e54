// The chain that a transaction extends: its lock, its head, its next place.
#pragma once

#include "core/digest.h"
#include "pg/log.h"

extern "C" {
#include <utils/hsearch.h>
}

namespace auditchain::pg {

struct Head {
    std::int64_t position;  // of the newest entry; 0: the chain is empty
    Digest checksum;        // of the newest entry; zeros when there is none
    Oid leaf;               // table that holds it
};

// The newest entry of a chain, whatever snapshot the transaction has: committed ones and our own.
// Reads the index on (chain_id, chain_position) of every leaf.
Head read_head(const Log& log, std::int32_t chain_id);

// Whether this entry is there, committed or our own.
bool entry_exists(Oid leaf, std::int32_t chain_id, std::int64_t position);

// Bytes of a chain's key, so that it fits into an index.
inline constexpr std::size_t kMaxKeyLength = 2000;

struct ChainKey {
    Oid log;
    std::uint32_t length;
    const char* text;  // canonical JSON array, UTF-8
};

// A chain that this transaction extends.
struct HeldChain {
    ChainKey key;
    int lane;
    std::int32_t chain_id;  // 0: not looked up yet
    Head head;  // the entry that was newest when last looked at, or is on its way into its leaf
};

// HeldChains by log and key, in a memory context of the maker's.
struct ChainMap {
    HTAB* table;
    MemoryContext context;
};

ChainMap make_chain_map(MemoryContext context);

// Finds a chain in the map, or enters it with lane -1 and chain_id 0. Errors when the key is longer
// than kMaxKeyLength.
HeldChain* enter_chain(const ChainMap& map, const Log& log, std::string_view key);

// The chain that this transaction extends for a key: takes the lock of the first free lane (waits
// only when all are taken), begins the chain if it is new, and finds its head. Who then sends an
// entry on its way notes it in `head`.
HeldChain* hold_chain(const Log& log, std::string_view key);

void init_chains();

}  // namespace auditchain::pg
