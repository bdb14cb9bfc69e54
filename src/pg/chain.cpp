// Holding a chain: at most one transaction extends a chain at a time, from its first insert to its
// commit record.

#include "pg/chain.h"

#include "pg/chain_ids.h"
#include "pg/chain_lock.h"
#include "pg/errors.h"
#include "pg/head_cache.h"
#include "pg/insert_mark.h"

extern "C" {
#include <common/hashfn.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// Chains held by this transaction; lives in TopTransactionContext.
ChainMap held_chains = {};

// The row that the trigger saw last.
struct {
    HeldChain* chain;
    InsertMark mark;
} in_flight = {};

std::uint32_t hash_chain_key(const void* key, Size) {
    auto* chain_key = static_cast<const ChainKey*>(key);
    std::uint32_t text = hash_bytes(reinterpret_cast<const unsigned char*>(chain_key->text),
                                    static_cast<int>(chain_key->length));
    return hash_combine(chain_key->log, text);
}

int compare_chain_keys(const void* left, const void* right, Size) {
    auto* a = static_cast<const ChainKey*>(left);
    auto* b = static_cast<const ChainKey*>(right);
    bool equal =
        a->log == b->log && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
    return equal ? 0 : 1;
}

void require_short_key(const Log& log, std::string_view key) {
    if (key.size() <= kMaxKeyLength) {
        return;
    }
    ereport(ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE),
            errmsg("key of a chain of log \"%s\" is too long", get_rel_name(log.relation)),
            errdetail("The chain_by columns make %zu bytes of JSON; at most %zu are possible.",
                      key.size(), kMaxKeyLength),
            errhint("Chain by a short identifier, such as a tenant's."));
}

// A cached head counts only while its table is the log's: a dropped and restored table is another.
bool find_usable_cached_head(const Log& log, std::int32_t chain_id, Head* head) {
    return find_cached_head(log.id, chain_id, head) && partition_root(head->leaf) == log.relation;
}

// Finds the chain and its head anew. `first_look` is the first in this transaction, when nothing in
// the chain can be its own doing. The chain's number is set last: after an error on the way, caught
// by a savepoint, the next look is a first one again.
void find_head(const Log& log, HeldChain* chain, bool first_look) {
    chain->confirmed = InvalidSubTransactionId;
    std::int32_t chain_id = chain_id_of(log.id, chain->key, chain->lane);
    chain->own = !first_look || chain_id == 0;
    if (chain_id == 0) {
        std::string_view key = {chain->key.text, chain->key.length};
        chain_id = add_chain(log.id, key, chain->lane);
        chain->head = {};
    } else if (!first_look || !find_usable_cached_head(log, chain_id, &chain->head)) {
        chain->head = read_head(log, chain_id);
    }
    chain->chain_id = chain_id;
}

// What we noted last is the head only if it is there: a savepoint may have been rolled back, or ON
// CONFLICT DO NOTHING have dropped the row.
bool head_stands(const HeldChain& chain) {
    if (!chain.own || chain.confirmed == GetCurrentSubTransactionId()) {
        return true;
    }
    return OidIsValid(chain.head.leaf) &&
           entry_exists(chain.head.leaf, chain.chain_id, chain.head.position);
}

// The row that the trigger saw last, of whatever chain, may be in its table by now: asked before
// the next row comes, as the counters tell of one row only.
void confirm_row_in_flight(Relation leaf) {
    if (in_flight.chain == nullptr) {
        return;
    }
    if (RelationGetRelid(leaf) == in_flight.chain->head.leaf &&
        was_inserted(in_flight.mark, leaf)) {
        in_flight.chain->confirmed = in_flight.mark.subtransaction;
    }
    in_flight = {};
}

HeldChain* enter_held_chain(const Log& log, std::string_view key) {
    if (held_chains.table == nullptr) {
        held_chains = make_chain_map(TopTransactionContext);
    }
    HeldChain* chain = enter_chain(held_chains, log, key);
    if (memcmp(&chain->log, &log.id, sizeof log.id) != 0) {
        // The savepoint that protected the table was rolled back, and it was protected anew.
        chain->log = log.id;
        chain->chain_id = 0;
    }
    return chain;
}

void check_head(const Log& log, HeldChain* chain, Relation leaf) {
    confirm_row_in_flight(leaf);
    if (chain->chain_id == 0) {
        find_head(log, chain, true);
    } else if (!head_stands(*chain)) {
        find_head(log, chain, false);
    }
}

template <typename Action>
void for_each_held_chain(Action action) {
    if (held_chains.table == nullptr) {
        return;
    }
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, held_chains.table);
    while (auto* chain = static_cast<HeldChain*>(hash_seq_search(&scan))) {
        if (chain->lane >= 0) {
            action(chain);
        }
    }
}

}  // namespace

ChainMap make_chain_map(MemoryContext context) {
    HASHCTL control = {};
    control.keysize = sizeof(ChainKey);
    control.entrysize = sizeof(HeldChain);
    control.hash = hash_chain_key;
    control.match = compare_chain_keys;
    control.hcxt = context;
    return {hash_create("auditchain chains", 16, &control,
                        HASH_ELEM | HASH_FUNCTION | HASH_COMPARE | HASH_CONTEXT),
            context};
}

HeldChain* enter_chain(const ChainMap& map, const Log& log, std::string_view key) {
    ChainKey chain_key = {log.relation, static_cast<std::uint32_t>(key.size()), key.data()};
    auto* chain = static_cast<HeldChain*>(hash_search(map.table, &chain_key, HASH_FIND, nullptr));
    if (chain != nullptr) {
        return chain;
    }
    require_short_key(log, key);
    // The map keeps the pointer: to a copy, made before the entry so that no failure parts them.
    chain_key.text = static_cast<char*>(
        memcpy(MemoryContextAlloc(map.context, key.size()), key.data(), key.size()));
    bool found;
    chain = static_cast<HeldChain*>(hash_search(map.table, &chain_key, HASH_ENTER, &found));
    chain->log = log.id;
    chain->lane = -1;
    chain->chain_id = 0;
    chain->head = {};
    chain->own = false;
    chain->confirmed = InvalidSubTransactionId;
    chain->settled = false;
    return chain;
}

HeldChain* hold_chain(const Log& log, std::string_view key, Relation leaf) {
    HeldChain* chain = enter_held_chain(log, key);
    if (chain->lane < 0) {
        chain->lane = lock_lane(chain->key, log.lanes);
    }
    check_head(log, chain, leaf);
    return chain;
}

HeldChain* hold_given_chain(const Log& log, std::string_view key, std::int32_t chain_id, int lane,
                            Relation leaf) {
    HeldChain* chain = enter_held_chain(log, key);
    if (chain->lane < 0) {
        lock_given_lane(chain->key, lane);
        chain->lane = lane;
    }
    check_head(log, chain, leaf);
    if (chain->chain_id != chain_id) {
        ereport(ERROR, errcode(ERRCODE_AC_BROKEN_ENTRY),
                errmsg("a transaction extends two chains of one key in log \"%s\"",
                       get_rel_name(log.relation)),
                errdetail("It holds chain_id %d and goes on with %d.", chain->chain_id, chain_id));
    }
    return chain;
}

void extend_chain(HeldChain* chain, std::int64_t position, const Digest& checksum, Relation leaf) {
    chain->head = {position, checksum, RelationGetRelid(leaf)};
    chain->own = true;
    chain->confirmed = InvalidSubTransactionId;
    chain->settled = false;
    in_flight = {chain, insert_mark(leaf)};
}

bool holds_chains() {
    return held_chains.table != nullptr;
}

void settle_held_chains() {
    if (in_flight.chain != nullptr) {
        if (Relation leaf = RelationIdGetRelation(in_flight.chain->head.leaf)) {
            confirm_row_in_flight(leaf);
            RelationClose(leaf);
        }
    }
    for_each_held_chain(
        [](HeldChain* chain) { chain->settled = chain->chain_id != 0 && head_stands(*chain); });
}

void publish_held_chains() {
    for_each_held_chain([](HeldChain* chain) {
        if (chain->settled && OidIsValid(chain->head.leaf)) {
            cache_head(chain->log, chain->chain_id, chain->head);
        } else {
            forget_cached_head(chain->log, chain->chain_id);
        }
        unlock_lane(chain->key, chain->lane);
    });
}

void hand_over_held_chains() {
    for_each_held_chain([](HeldChain* chain) {
        // Who commits the prepared transaction knows nothing of its heads.
        forget_cached_head(chain->log, chain->chain_id);
        hand_lane_to_transaction(chain->key, chain->lane);
        chain->lane = -1;
    });
}

void free_held_chains() {
    for_each_held_chain([](HeldChain* chain) { unlock_lane(chain->key, chain->lane); });
}

void forget_held_chains() {
    held_chains = {};
    in_flight = {};
}

}  // namespace auditchain::pg
