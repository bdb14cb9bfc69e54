#include "pg/head_cache.h"

#include "pg/settings.h"
#include "pg/shared_memory.h"

extern "C" {
#include <catalog/objectaccess.h>
#include <catalog/pg_database.h>
#include <common/hashfn.h>
#include <miscadmin.h>
#include <storage/lwlock.h>
}

namespace auditchain::pg {
namespace {

// A chain's head can stand in one of the slots of one set, found by its hash: bounded memory, no
// allocation, eviction within the set.
constexpr int kSlotsPerSet = 4;
constexpr int kLocks = 64;

struct HeadKey {
    Oid database;
    std::int32_t chain_id;
    pg_uuid_t log;
};

struct HeadSlot {
    HeadKey key;  // chain_id 0: free
    Head head;
    std::uint64_t used;  // tick of the set at its last use
};

struct HeadSet {
    std::uint64_t tick;
    HeadSlot slots[kSlotsPerSet];
};

HeadSet* sets = nullptr;
LWLockPadded* locks = nullptr;

object_access_hook_type previous_access_hook = nullptr;

std::uint32_t set_count() {
    return static_cast<std::uint32_t>(cached_heads + kSlotsPerSet - 1) / kSlotsPerSet;
}

Size cache_size() {
    return mul_size(set_count(), sizeof(HeadSet));
}

HeadKey head_key(const pg_uuid_t& log, std::int32_t chain_id) {
    return {MyDatabaseId, chain_id, log};
}

bool same_key(const HeadKey& a, const HeadKey& b) {
    return memcmp(&a, &b, sizeof a) == 0;
}

// The set of a key and its lock, which the caller holds and has to release.
struct LockedSet {
    HeadSet* set;
    LWLock* lock;
};

LockedSet lock_set(const HeadKey& key) {
    std::uint32_t hash = hash_bytes(reinterpret_cast<const unsigned char*>(&key), sizeof key);
    std::uint32_t number = hash % set_count();
    LockedSet locked = {&sets[number], &locks[number % kLocks].lock};
    LWLockAcquire(locked.lock, LW_EXCLUSIVE);
    return locked;
}

HeadSlot* find_slot(HeadSet* set, const HeadKey& key) {
    for (HeadSlot& slot : set->slots) {
        if (same_key(slot.key, key)) {
            slot.used = ++set->tick;
            return &slot;
        }
    }
    return nullptr;
}

HeadSlot* least_used_slot(HeadSet* set) {
    return std::min_element(std::begin(set->slots), std::end(set->slots),
                            [](const HeadSlot& a, const HeadSlot& b) { return a.used < b.used; });
}

template <typename Predicate>
void forget_heads(Predicate predicate) {
    for (std::uint32_t number = 0; sets != nullptr && number < set_count(); number++) {
        LWLock* lock = &locks[number % kLocks].lock;
        LWLockAcquire(lock, LW_EXCLUSIVE);
        for (HeadSlot& slot : sets[number].slots) {
            if (predicate(slot.key)) {
                slot = {};
            }
        }
        LWLockRelease(lock);
    }
}

// CREATE DATABASE … OID gives a database the OID of one that was dropped; as copies of one template
// they have the same logs and tables.
void notice_database(ObjectAccessType access, Oid catalog, Oid object, int part, void* detail) {
    if (previous_access_hook != nullptr) {
        previous_access_hook(access, catalog, object, part, detail);
    }
    if (access == OAT_POST_CREATE && catalog == DatabaseRelationId) {
        forget_heads([object](const HeadKey& key) { return key.database == object; });
    }
}

void attach_cache(void* memory, bool) {
    sets = static_cast<HeadSet*>(memory);
    locks = GetNamedLWLockTranche("auditchain");
}

SharedMemory shared_memory = {"auditchain heads", cache_size, attach_cache, "auditchain", kLocks};

}  // namespace

bool has_head_cache() {
    return sets != nullptr;
}

bool find_cached_head(const pg_uuid_t& log, std::int32_t chain_id, Head* head) {
    if (!has_head_cache()) {
        return false;
    }
    HeadKey key = head_key(log, chain_id);
    LockedSet locked = lock_set(key);
    HeadSlot* slot = find_slot(locked.set, key);
    if (slot != nullptr) {
        *head = slot->head;
    }
    LWLockRelease(locked.lock);
    return slot != nullptr;
}

void cache_head(const pg_uuid_t& log, std::int32_t chain_id, const Head& head) {
    if (!has_head_cache()) {
        return;
    }
    HeadKey key = head_key(log, chain_id);
    LockedSet locked = lock_set(key);
    HeadSlot* slot = find_slot(locked.set, key);
    if (slot == nullptr) {
        slot = least_used_slot(locked.set);
    }
    *slot = {key, head, ++locked.set->tick};
    LWLockRelease(locked.lock);
}

void forget_cached_head(const pg_uuid_t& log, std::int32_t chain_id) {
    if (!has_head_cache()) {
        return;
    }
    HeadKey key = head_key(log, chain_id);
    LockedSet locked = lock_set(key);
    if (HeadSlot* slot = find_slot(locked.set, key)) {
        *slot = {};
    }
    LWLockRelease(locked.lock);
}

void forget_cached_heads(const pg_uuid_t& log) {
    forget_heads([&log](const HeadKey& key) {
        return key.database == MyDatabaseId && memcmp(&key.log, &log, sizeof log) == 0;
    });
}

void init_head_cache() {
    request_shared_memory(&shared_memory);
    previous_access_hook = object_access_hook;
    object_access_hook = notice_database;
}

}  // namespace auditchain::pg
