// The chain that a transaction extends: its lock, its head, its next place.
#pragma once

#include "core/digest.h"
#include "pg/log.h"

extern "C" {
#include <access/xact.h>
#include <utils/hsearch.h>
#include <utils/rel.h>
}

namespace auditchain::pg {

// Bytes of a chain's key, so that it fits into an index.
inline constexpr std::size_t kMaxKeyLength = 2000;

struct ChainKey {
    Oid log;
    std::uint32_t length;
    const char* text;  // canonical JSON array, UTF-8
};

struct Head {
    std::int64_t position;  // of the newest entry; 0: the chain is empty
    Digest checksum;        // of the newest entry; zeros when there is none
    Oid leaf;               // table that holds it
};

// A chain that this transaction extends.
struct HeldChain {
    ChainKey key;
    pg_uuid_t log;
    int lane;               // -1: not locked yet
    std::int32_t chain_id;  // 0: not looked up yet
    Head head;  // newest entry when last looked at, or the one that is on its way into its leaf
    bool own;   // the head, or the chain itself, is this transaction's doing
    SubTransactionId confirmed;  // in which the head was seen to be inserted; 0: in none
    bool settled;                // the head is known to be what the commit leaves behind
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
// only when all are taken), begins the chain if it is new, and finds its head. `leaf` is the table
// that the next entry goes to.
HeldChain* hold_chain(const Log& log, std::string_view key, Relation leaf);

// The same for an entry that comes with its chain, as a replica's do: takes that chain's lane.
HeldChain* hold_given_chain(const Log& log, std::string_view key, std::int32_t chain_id, int lane,
                            Relation leaf);

// Notes the entry that is on its way into `leaf` as the chain's head.
void extend_chain(HeldChain* chain, std::int64_t position, const Digest& checksum, Relation leaf);

// What the end of the transaction does with the chains it holds: see commit_pipeline.cpp.
bool holds_chains();
void settle_held_chains();     // before the commit record: are their heads what we think?
void publish_held_chains();    // after it: cache the heads, free the locks; raises no error
void free_held_chains();       // after an abort: free the locks
void hand_over_held_chains();  // to a prepared transaction
void forget_held_chains();

// chain_head.cpp: reads the newest entry of a chain from the index on (chain_id, chain_position) of
// every leaf, whatever snapshot the transaction has: committed entries and our own.
Head read_head(const Log& log, std::int32_t chain_id);

// chain_head.cpp: opens a leaf's index on (chain_id, chain_position); nullptr when it has none.
Relation find_position_index(Relation leaf);

// chain_head.cpp: whether this entry is there, committed or our own.
bool entry_exists(Oid leaf, std::int32_t chain_id, std::int64_t position);

}  // namespace auditchain::pg
