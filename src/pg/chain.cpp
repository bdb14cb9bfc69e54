// Holding a chain: at most one transaction extends a chain at a time, from its first insert to its
// end.

#include "pg/chain.h"

#include "pg/errors.h"

extern "C" {
#include <access/xact.h>
#include <common/hashfn.h>
#include <miscadmin.h>
#include <storage/lock.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/resowner.h>
}

namespace auditchain::pg {

namespace {

// Chains held by this transaction; lives in TopTransactionContext.
ChainMap held_chains = {};

std::uint32_t hash_key_text(const char* text, std::size_t length) {
    return hash_bytes(reinterpret_cast<const unsigned char*>(text), static_cast<int>(length));
}

std::uint32_t hash_chain_key(const void* key, Size) {
    auto* chain_key = static_cast<const ChainKey*>(key);
    return hash_combine(chain_key->log, hash_key_text(chain_key->text, chain_key->length));
}

int compare_chain_keys(const void* left, const void* right, Size) {
    auto* a = static_cast<const ChainKey*>(left);
    auto* b = static_cast<const ChainKey*>(right);
    bool equal =
        a->log == b->log && a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
    return equal ? 0 : 1;
}

void forget_held_chains(XactEvent event, void*) {
    if (event == XACT_EVENT_COMMIT || event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
        held_chains = {};
    }
}

// The lock of a chain is an object lock whose class is the log itself, which no command takes: not
// to be had from SQL, seen by the deadlock detector, shown in pg_locks with classid = the log and
// objsubid = the lane. Keys whose hashes collide share locks, which costs waiting and nothing else.
LOCKTAG chain_lock(const ChainKey& key, int lane) {
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, key.log, hash_key_text(key.text, key.length), lane);
    return tag;
}

// Takes the first free lane of the key, to the end of the top transaction: a rolled-back savepoint
// does not free it.
int lock_lane(const ChainKey& key, int lanes) {
    ResourceOwner caller = CurrentResourceOwner;
    CurrentResourceOwner = TopTransactionResourceOwner;
    int lane = 0;
    for (; lane < lanes; lane++) {
        LOCKTAG tag = chain_lock(key, lane);
        if (LockAcquire(&tag, ExclusiveLock, false, true) != LOCKACQUIRE_NOT_AVAIL) {
            break;
        }
    }
    if (lane == lanes) {
        // All are taken: those who wait spread over them.
        lane = MyProcPid % lanes;
        LOCKTAG tag = chain_lock(key, lane);
        LockAcquire(&tag, ExclusiveLock, false, false);
    }
    CurrentResourceOwner = caller;
    return lane;
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

void find_head(const Log& log, HeldChain* chain) {
    std::string_view key = {chain->key.text, chain->key.length};
    chain->chain_id = find_chain(log.id, key, chain->lane);
    if (chain->chain_id == 0) {
        chain->chain_id = add_chain(log.id, key, chain->lane);
        chain->head = {};
    } else {
        chain->head = read_head(log, chain->chain_id);
    }
}

// What we noted last is the head only if it is there: a savepoint may have been rolled back, or ON
// CONFLICT DO NOTHING have dropped the row.
bool head_stands(const HeldChain* chain) {
    return chain->chain_id != 0 && OidIsValid(chain->head.leaf) &&
           entry_exists(chain->head.leaf, chain->chain_id, chain->head.position);
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
    require_short_key(log, key);
    ChainKey chain_key = {log.relation, static_cast<std::uint32_t>(key.size()), key.data()};
    bool found;
    auto* chain = static_cast<HeldChain*>(hash_search(map.table, &chain_key, HASH_ENTER, &found));
    if (!found) {
        chain->key.text = static_cast<char*>(
            memcpy(MemoryContextAlloc(map.context, key.size()), key.data(), key.size()));
        chain->lane = -1;
        chain->chain_id = 0;
        chain->head = {};
    }
    return chain;
}

HeldChain* hold_chain(const Log& log, std::string_view key) {
    if (held_chains.table == nullptr) {
        held_chains = make_chain_map(TopTransactionContext);
    }
    HeldChain* chain = enter_chain(held_chains, log, key);
    if (chain->lane < 0) {
        chain->lane = lock_lane(chain->key, log.lanes);
    }
    if (!head_stands(chain)) {
        find_head(log, chain);
    }
    return chain;
}

void init_chains() {
    RegisterXactCallback(forget_held_chains, nullptr);
}

}  // namespace auditchain::pg
