#include "pg/log_cache.h"

#include "pg/operations.h"

extern "C" {
#include <access/table.h>
#include <catalog/pg_namespace.h>
#include <utils/hsearch.h>
#include <utils/inval.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

HTAB* cache = nullptr;
std::uint64_t invalidations = 0;

void invalidate(Datum, Oid relation) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, cache);
    while (auto* entry = static_cast<CachedLog*>(hash_seq_search(&scan))) {
        bool concerned = relation == InvalidOid || relation == entry->relation ||
                         relation == entry->root ||
                         // While it is made, nobody knows yet what it will depend on.
                         entry->plan == nullptr || entry->plan->depends_on_types;
        if (concerned) {
            entry->valid = false;
            invalidations++;
        }
    }
}

void fill(CachedLog* entry) {
    if (entry->context != nullptr) {
        MemoryContextReset(entry->context);
    } else {
        entry->context =
            AllocSetContextCreate(TopMemoryContext, "auditchain log", ALLOCSET_SMALL_SIZES);
    }
    entry->plan = nullptr;
    std::uint64_t before = invalidations;
    MemoryContext caller = MemoryContextSwitchTo(entry->context);
    entry->root = partition_root(entry->relation);
    entry->log = &require_log(entry->relation);
    entry->operations = entry->root == operations_log();
    Relation relation = table_open(entry->relation, AccessShareLock);
    entry->descriptor = CreateTupleDescCopyConstr(RelationGetDescr(relation));
    table_close(relation, NoLock);
    // A released log takes no entries, and its columns may have other types.
    entry->personal =
        entry->log->released ? nullptr : plan_personal_fields(*entry->log, entry->descriptor);
    entry->plan = plan_row(*entry->log, entry->descriptor);
    MemoryContextSwitchTo(caller);
    entry->valid = invalidations == before;
}

}  // namespace

CachedLog& require_cached_log(Oid relation) {
    bool found;
    auto* entry = static_cast<CachedLog*>(hash_search(cache, &relation, HASH_ENTER, &found));
    if (!found) {
        entry->root = InvalidOid;
        entry->valid = false;
        entry->context = nullptr;
        entry->plan = nullptr;
    }
    if (!entry->valid) {
        fill(entry);
    }
    return *entry;
}

void init_log_cache() {
    HASHCTL control = {};
    control.keysize = sizeof(Oid);
    control.entrysize = sizeof(CachedLog);
    cache = hash_create("auditchain logs", 16, &control, HASH_ELEM | HASH_BLOBS);
    CacheRegisterRelcacheCallback(invalidate, 0);
}

}  // namespace auditchain::pg
