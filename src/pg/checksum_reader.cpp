#include "pg/checksum_reader.h"

#include "pg/chain.h"
#include "pg/entry.h"

extern "C" {
#include <access/genam.h>
#include <access/relscan.h>
#include <access/tableam.h>
#include <executor/tuptable.h>
#include <utils/fmgroids.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

// A leaf, and in its slot an entry of the chain.
struct LeafCursor {
    Relation index;
    IndexScanDesc scan;
    TupleTableSlot* slot;
    AttrNumber chain_id;
    AttrNumber chain_position;
    AttrNumber checksum;
    bool begun;             // it stands in the chain
    std::int64_t position;  // of its entry; kEnd: it has no more
};

constexpr std::int64_t kEnd = PG_INT64_MAX;

}  // namespace

struct ChecksumReader {
    Leaves leaves;
    LeafCursor* cursors;
    LeafCursor* current;  // that had an entry last; nullptr: the log has no leaf
    std::int32_t chain_id;
    std::int64_t position;  // to be read next
    MemoryContext context;  // of one checksum
};

namespace {

void open_cursor(LeafCursor* cursor, Relation leaf, Relation index) {
    Oid table = RelationGetRelid(leaf);
    *cursor = {.index = index,
               .scan = compat::index_beginscan(leaf, index, GetActiveSnapshot(), 2),
               .slot = table_slot_create(leaf, nullptr),
               .chain_id = get_attnum(table, "chain_id"),
               .chain_position = get_attnum(table, "chain_position"),
               .checksum = get_attnum(table, "checksum"),
               .begun = false,
               .position = kEnd};
}

// Takes the place from the table, whatever the index says of it.
void advance(LeafCursor* cursor, std::int32_t chain) {
    cursor->position = kEnd;
    if (!index_getnext_slot(cursor->scan, ForwardScanDirection, cursor->slot)) {
        return;
    }
    bool no_chain;
    bool no_position;
    Datum chain_id = slot_getattr(cursor->slot, cursor->chain_id, &no_chain);
    Datum position = slot_getattr(cursor->slot, cursor->chain_position, &no_position);
    if (!no_chain && !no_position && DatumGetInt32(chain_id) == chain) {
        cursor->position = DatumGetInt64(position);
    }
}

void begin(LeafCursor* cursor, const ChecksumReader& reader) {
    ScanKeyData keys[2];
    ScanKeyInit(&keys[0], 1, BTEqualStrategyNumber, F_INT4EQ, Int32GetDatum(reader.chain_id));
    ScanKeyInit(&keys[1], 2, BTGreaterEqualStrategyNumber, F_INT8GE,
                Int64GetDatum(reader.position));
    index_rescan(cursor->scan, keys, lengthof(keys), nullptr, 0);
    cursor->begun = true;
    advance(cursor, reader.chain_id);
}

bool stands_there(LeafCursor* cursor, const ChecksumReader& reader) {
    if (!cursor->begun) {
        begin(cursor, reader);
    } else if (cursor->position < reader.position) {  // it was read
        advance(cursor, reader.chain_id);
    }
    return cursor->position == reader.position;
}

// Finds the leaf that has the entry. Most often it is the one that had the entry before.
bool find_cursor(ChecksumReader* reader) {
    if (reader->current != nullptr && stands_there(reader->current, *reader)) {
        return true;
    }
    LeafCursor* end = reader->cursors + reader->leaves.count;
    LeafCursor* found = std::find_if(reader->cursors, end, [reader](LeafCursor& cursor) {
        return stands_there(&cursor, *reader);
    });
    if (found == end) {
        return false;
    }
    reader->current = found;
    return true;
}

}  // namespace

ChecksumReader* open_checksums(const Log& log) {
    auto* reader = static_cast<ChecksumReader*>(palloc0(sizeof(ChecksumReader)));
    reader->leaves = open_leaves(log);
    if (!have_position_indexes(reader->leaves)) {
        close_leaves(reader->leaves);
        return nullptr;
    }
    int count = reader->leaves.count;
    reader->cursors = static_cast<LeafCursor*>(palloc((count + 1) * sizeof(LeafCursor)));
    for (int i = 0; i < count; i++) {
        Relation leaf = reader->leaves.tables[i];
        open_cursor(&reader->cursors[i], leaf, find_position_index(leaf));
    }
    reader->current = count == 0 ? nullptr : reader->cursors;
    reader->context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain checksum", ALLOCSET_SMALL_SIZES);
    return reader;
}

void seek_checksum(ChecksumReader* reader, std::int32_t chain_id, std::int64_t position) {
    reader->chain_id = chain_id;
    reader->position = position;
    for (int i = 0; i < reader->leaves.count; i++) {
        reader->cursors[i].begun = false;
    }
}

bool read_checksum(ChecksumReader* reader, Digest* checksum) {
    if (!find_cursor(reader)) {
        return false;
    }
    const LeafCursor& cursor = *reader->current;
    bool null;
    Datum value = slot_getattr(cursor.slot, cursor.checksum, &null);
    MemoryContext caller = MemoryContextSwitchTo(reader->context);  // it may be in TOAST
    bool read = !null && read_digest(value, checksum);
    MemoryContextSwitchTo(caller);
    MemoryContextReset(reader->context);
    reader->position++;
    return read;
}

void close_checksums(ChecksumReader* reader) {
    for (int i = 0; i < reader->leaves.count; i++) {
        LeafCursor& cursor = reader->cursors[i];
        index_endscan(cursor.scan);
        ExecDropSingleTupleTableSlot(cursor.slot);
        index_close(cursor.index, AccessShareLock);
    }
    close_leaves(reader->leaves);
    MemoryContextDelete(reader->context);
}

}  // namespace auditchain::pg
