// Taking archived entries out of their log.

#include "pg/archive.h"
#include "pg/archived_range.h"
#include "pg/cold_table.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
#include <catalog/dependency.h>
#include <catalog/partition.h>
#include <catalog/pg_class.h>
#include <executor/spi.h>
#include <nodes/parsenodes.h>
#include <nodes/pg_list.h>
#include <storage/lmgr.h>
#include <utils/date.h>
#include <utils/lsyscache.h>
#include <utils/partcache.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// Whether the log is partitioned by ranges of its time column alone.
bool is_partitioned_by_time(const Log& log, const LogColumn& time) {
    Relation root = table_open(log.relation, AccessShareLock);
    bool by_time = false;
    if (root->rd_rel->relkind == RELKIND_PARTITIONED_TABLE) {
        PartitionKey key = RelationGetPartitionKey(root);
        by_time = key->strategy == PARTITION_STRATEGY_RANGE && key->partnatts == 1 &&
                  key->partattrs[0] == get_attnum(log.relation, NameStr(time.name));
    }
    table_close(root, AccessShareLock);
    return by_time;
}

// Where a partition ends; columns without a time zone are UTC. DT_NOEND where it does not, or is
// none of ranges.
TimestampTz partition_end(Oid partition) {
    HeapTuple tuple = SearchSysCache1(RELOID, ObjectIdGetDatum(partition));
    if (!HeapTupleIsValid(tuple)) {
        return DT_NOEND;
    }
    bool null;
    Datum stored = SysCacheGetAttr(RELOID, tuple, Anum_pg_class_relpartbound, &null);
    TimestampTz end = DT_NOEND;
    if (!null) {
        auto* node = static_cast<Node*>(stringToNode(TextDatumGetCString(stored)));
        auto* bound = castNode(PartitionBoundSpec, node);
        auto* upper = bound->is_default || bound->upperdatums == NIL
                          ? nullptr
                          : linitial_node(PartitionRangeDatum, bound->upperdatums);
        if (upper != nullptr && upper->kind == PARTITION_RANGE_DATUM_VALUE) {
            auto* value = castNode(Const, upper->value);
            end = value->consttype == DATEOID
                      ? static_cast<TimestampTz>(DatumGetDateADT(value->constvalue)) * USECS_PER_DAY
                      : DatumGetTimestampTz(value->constvalue);
        }
    }
    ReleaseSysCache(tuple);
    return end;
}

// Whether the partition can go as a whole, if it has no other entries: no more will come.
bool is_past(const Log& log, Oid partition, TimestampTz before) {
    return get_rel_relkind(partition) == RELKIND_RELATION &&
           get_partition_parent(partition, false) == log.relation &&
           relation_owner(partition) == relation_owner(log.relation) &&
           partition_end(partition) <= before;
}

std::int64_t count_rows(Oid table) {
    SPI_execute(psprintf("SELECT pg_catalog.count(*) FROM ONLY %s", qualified_name(table)), false,
                0);
    bool null;
    return DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

// Below the guard's event triggers, as entries are deleted below its triggers.
void drop_partition(Oid partition) {
    ObjectAddress object = {RelationRelationId, partition, 0};
    performDeletion(&object, DROP_RESTRICT, 0);
    CommandCounterIncrement();
}

// Drops the partitions all of whose entries are archived, and returns how many entries they had.
std::int64_t drop_partitions(const Log& log, List* leaves, TimestampTz before, int* dropped) {
    std::int64_t entries = 0;
    ListCell* cell;
    foreach (cell, leaves) {
        const auto& archived = *static_cast<ArchivedLeaf*>(lfirst(cell));
        if (!is_past(log, archived.leaf, before)) {
            continue;
        }
        // Who is at it now may yet insert; who comes later waits.
        LockRelationOid(log.relation, AccessExclusiveLock);
        LockRelationOid(archived.leaf, AccessExclusiveLock);
        if (count_rows(archived.leaf) == archived.entries) {
            drop_partition(archived.leaf);
            entries += archived.entries;
            ++*dropped;
        }
    }
    return entries;
}

std::int64_t delete_entries(const Log& log, std::int64_t archive) {
    EntryRemover* remover = open_entry_remover(log.relation);
    std::int64_t entries = 0;
    for_each_range_of(
        archive, [&](const ArchivedRange& range) { entries += remove_entries(remover, range); });
    close_entry_remover(remover);
    return entries;
}

}  // namespace

int remove_archived_entries(const Log& log, std::int64_t archive, List* leaves,
                            const LogColumn& time, TimestampTz before) {
    std::int64_t expected = 0;
    ListCell* cell;
    foreach (cell, leaves) {
        expected += static_cast<ArchivedLeaf*>(lfirst(cell))->entries;
    }
    int dropped = 0;
    std::int64_t removed =
        is_partitioned_by_time(log, time) ? drop_partitions(log, leaves, before, &dropped) : 0;
    if (removed < expected) {
        removed += delete_entries(log, archive);
    }
    if (removed != expected) {
        elog(ERROR, "%lld entries were archived, and %lld are to be removed",
             static_cast<long long>(expected), static_cast<long long>(removed));
    }
    return dropped;
}

}  // namespace auditchain::pg
