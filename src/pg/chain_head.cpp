// Finding the newest entry of a chain.

#include "pg/chain.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/guard.h"

extern "C" {
#include <access/genam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/pg_am_d.h>
#include <catalog/pg_index.h>
#include <executor/tuptable.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
#include <utils/syscache.h>
}

namespace auditchain::pg {
namespace {

bool is_position_index(Relation index, AttrNumber chain_id, AttrNumber chain_position) {
    Form_pg_index form = index->rd_index;
    return index->rd_rel->relam == BTREE_AM_OID && form->indisvalid && form->indnkeyatts >= 2 &&
           form->indkey.values[0] == chain_id && form->indkey.values[1] == chain_position &&
           RelationGetIndexPredicate(index) == NIL;
}

Relation open_position_index(Relation leaf) {
    if (Relation index = find_position_index(leaf)) {
        return index;
    }
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" has lost its index on (chain_id, chain_position)",
                   RelationGetRelationName(leaf)),
            errdetail("Without it the newest entry of a chain cannot be found."),
            errhint("CREATE UNIQUE INDEX ON %s (chain_id, chain_position)",
                    qualified_name(RelationGetRelid(leaf))));
}

// A scan of one leaf's position index. SnapshotSelf sees what is committed at this moment and what
// this transaction did itself, never what others have in progress.
struct PositionScan {
    Relation leaf;
    Relation index;
    TupleTableSlot* slot;
    IndexScanDesc scan;
};

PositionScan begin_scan(Oid leaf, std::span<ScanKeyData> keys) {
    PositionScan scan;
    scan.leaf = table_open(leaf, AccessShareLock);
    scan.index = open_position_index(scan.leaf);
    scan.slot = table_slot_create(scan.leaf, nullptr);
    scan.scan =
        compat::index_beginscan(scan.leaf, scan.index, SnapshotSelf, static_cast<int>(keys.size()));
    index_rescan(scan.scan, keys.data(), static_cast<int>(keys.size()), nullptr, 0);
    return scan;
}

void end_scan(PositionScan& scan) {
    index_endscan(scan.scan);
    ExecDropSingleTupleTableSlot(scan.slot);
    index_close(scan.index, AccessShareLock);
    table_close(scan.leaf, NoLock);
}

ScanKeyData chain_id_key(std::int32_t chain_id) {
    ScanKeyData key;
    ScanKeyInit(&key, 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(chain_id));
    return key;
}

Head read_leaf_head(Oid leaf, std::int32_t chain_id) {
    ScanKeyData keys[] = {chain_id_key(chain_id)};
    PositionScan scan = begin_scan(leaf, keys);
    Head head = {};
    if (index_getnext_slot(scan.scan, BackwardScanDirection, scan.slot)) {
        bool null;
        head.position =
            DatumGetInt64(slot_getattr(scan.slot, get_attnum(leaf, "chain_position"), &null));
        Datum checksum = slot_getattr(scan.slot, get_attnum(leaf, "checksum"), &null);
        if (null || !read_digest(checksum, &head.checksum)) {
            ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
                    errmsg("the newest entry of a chain of log \"%s\" has no valid checksum",
                           get_rel_name(leaf)),
                    errdetail("Chain %d, position %lld.", chain_id,
                              static_cast<long long>(head.position)),
                    errhint("SELECT * FROM auditchain.violations('%s') lists all findings.",
                            qualified_name(leaf)));
        }
        head.leaf = leaf;
    }
    end_scan(scan);
    return head;
}

}  // namespace

Relation find_position_index(Relation leaf) {
    AttrNumber chain_id = get_attnum(RelationGetRelid(leaf), "chain_id");
    AttrNumber chain_position = get_attnum(RelationGetRelid(leaf), "chain_position");
    ListCell* cell;
    foreach (cell, RelationGetIndexList(leaf)) {
        Relation index = index_open(lfirst_oid(cell), AccessShareLock);
        if (is_position_index(index, chain_id, chain_position)) {
            return index;
        }
        index_close(index, AccessShareLock);
    }
    return nullptr;
}

bool has_position_index(Relation leaf) {
    Relation index = find_position_index(leaf);
    if (index == nullptr) {
        return false;
    }
    index_close(index, AccessShareLock);
    return true;
}

Head read_head(const Log& log, std::int32_t chain_id) {
    Head newest = {};
    ListCell* cell;
    foreach (cell, log_leaves(log.relation)) {
        Head head = read_leaf_head(lfirst_oid(cell), chain_id);
        if (head.position > newest.position) {
            newest = head;
        }
    }
    return newest;
}

bool entry_exists(Oid leaf, std::int32_t chain_id, std::int64_t position) {
    // A partition made after a savepoint is gone with it.
    if (get_rel_name(leaf) == nullptr) {
        return false;
    }
    ScanKeyData keys[] = {chain_id_key(chain_id), {}};
    ScanKeyInit(&keys[1], 2, BTEqualStrategyNumber, F_INT8EQ, Int64GetDatum(position));
    PositionScan scan = begin_scan(leaf, keys);
    bool exists = index_getnext_slot(scan.scan, ForwardScanDirection, scan.slot);
    end_scan(scan);
    return exists;
}

}  // namespace auditchain::pg
