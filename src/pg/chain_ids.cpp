#include "pg/chain_ids.h"

#include "pg/catalog.h"

extern "C" {
#include <common/hashfn.h>
#include <utils/inval.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// Slots by hash: a chain that meets another in its slot takes its place.
constexpr std::size_t kSlots = 1024;
constexpr std::size_t kMaxKeptKey = 64;  // bytes; longer keys are looked up each time

struct Slot {
    std::int32_t chain_id;  // 0: free
    pg_uuid_t log;
    int lane;
    std::uint32_t length;
    char key[kMaxKeptKey];
};

Slot* slots = nullptr;
Oid chain_table = InvalidOid;  // whose rows the slots remember

// Another extension's life under the same name has other numbers: DROP EXTENSION tells of it.
void forget_all(Datum, Oid relation) {
    if (slots != nullptr && (relation == InvalidOid || relation == chain_table)) {
        memset(static_cast<void*>(slots), 0, kSlots * sizeof(Slot));
    }
}

Slot& slot_of(const pg_uuid_t& log, const ChainKey& key, int lane) {
    if (slots == nullptr) {
        slots = static_cast<Slot*>(MemoryContextAllocZero(TopMemoryContext, kSlots * sizeof(Slot)));
        CacheRegisterRelcacheCallback(forget_all, 0);
    }
    std::uint32_t hash =
        hash_bytes(reinterpret_cast<const unsigned char*>(key.text), static_cast<int>(key.length));
    hash = hash_combine(hash, hash_bytes(log.data, sizeof log.data));
    return slots[hash_combine(hash, static_cast<std::uint32_t>(lane)) % kSlots];
}

bool holds(const Slot& slot, const pg_uuid_t& log, const ChainKey& key, int lane) {
    return slot.chain_id != 0 && slot.lane == lane && slot.length == key.length &&
           memcmp(&slot.log, &log, sizeof log) == 0 && memcmp(slot.key, key.text, key.length) == 0;
}

}  // namespace

std::int32_t chain_id_of(const pg_uuid_t& log, const ChainKey& key, int lane) {
    if (key.length > kMaxKeptKey) {
        return find_chain(log, {key.text, key.length}, lane).chain_id;
    }
    Slot& slot = slot_of(log, key, lane);
    if (holds(slot, log, key, lane)) {
        return slot.chain_id;
    }
    FoundChain found = find_chain(log, {key.text, key.length}, lane);
    if (found.chain_id != 0 && found.committed) {
        chain_table = found.table;
        slot = {found.chain_id, log, lane, key.length, {}};
        memcpy(slot.key, key.text, key.length);
    }
    return found.chain_id;
}

}  // namespace auditchain::pg
