#include "pg/bundle_entries.h"

#include "pg/chain_row.h"
#include "pg/entry.h"
#include "pg/receipt.h"

extern "C" {
#include <access/htup_details.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr long kBatch = 500;

void plan_rows(BundleEntryReader* reader, TupleDesc descriptor) {
    reader->row = plan_row(*reader->log, descriptor);
    require_chain_columns(*reader->log, *reader->row, reader->log->relation);
    reader->values = static_cast<Datum*>(palloc(descriptor->natts * sizeof(Datum)));
    reader->nulls = static_cast<bool*>(palloc(descriptor->natts * sizeof(bool)));
}

bool fetch_batch(BundleEntryReader* reader) {
    if (reader->batch != nullptr) {
        SPI_freetuptable(reader->batch);
    }
    SPI_cursor_fetch(reader->portal, true, kBatch);
    reader->batch = SPI_tuptable;
    reader->next = 0;
    return reader->batch->numvals > 0;
}

// What is no checksum reads as one that nothing hashes to.
Digest read_checksum(const BundleEntryReader& reader, AttrNumber column) {
    Digest digest;
    if (reader.nulls[column - 1] || !read_digest(reader.values[column - 1], &digest)) {
        digest.bytes.fill(0xFF);
    }
    return digest;
}

void read_entry(const BundleEntryReader& reader, BundledEntry* entry) {
    const RowPlan& row = *reader.row;
    entry->position = DatumGetInt64(reader.values[row.chain_position - 1]);
    entry->previous = read_checksum(reader, row.previous_checksum);
    entry->checksum = read_checksum(reader, row.checksum);
    Receipt receipt;
    entry->receipt.reset();
    if (row.receipt != 0 && !reader.nulls[row.receipt - 1] &&
        read_receipt(reader.values[row.receipt - 1], &receipt)) {
        entry->receipt = receipt;
    }
    entry->payload = write_payload(reader.row, reader.values, reader.nulls);
}

}  // namespace

BundleEntryReader* make_bundle_reader(const Log& log) {
    const char* query = psprintf(
        "SELECT e.* FROM %s e WHERE e.chain_id OPERATOR(pg_catalog.=) $1 "
        "AND e.chain_position OPERATOR(pg_catalog.>=) $2 "
        "AND e.chain_position OPERATOR(pg_catalog.<=) $3 ORDER BY e.chain_position",
        from_item(log.relation));
    Oid types[] = {INT4OID, INT8OID, INT8OID};
    auto* reader = static_cast<BundleEntryReader*>(palloc0(sizeof(BundleEntryReader)));
    reader->log = &log;
    reader->plan = SPI_prepare(query, lengthof(types), types);
    reader->row_context = AllocSetContextCreate(CurrentMemoryContext, "auditchain bundle row",
                                                ALLOCSET_DEFAULT_SIZES);
    return reader;
}

void begin_bundle_entries(BundleEntryReader* reader, std::int32_t chain_id, std::int64_t first,
                          std::int64_t last) {
    Datum arguments[] = {Int32GetDatum(chain_id), Int64GetDatum(first), Int64GetDatum(last)};
    // Read-only, so that it takes the active snapshot.
    reader->portal = SPI_cursor_open(nullptr, reader->plan, arguments, nullptr, true);
    reader->batch = nullptr;
    reader->next = 0;
    if (reader->row == nullptr) {
        plan_rows(reader, reader->portal->tupDesc);
    }
}

bool next_bundle_entry(BundleEntryReader* reader, BundledEntry* entry) {
    CHECK_FOR_INTERRUPTS();
    if ((reader->batch == nullptr || reader->next == reader->batch->numvals) &&
        !fetch_batch(reader)) {
        SPI_freetuptable(reader->batch);
        SPI_cursor_close(reader->portal);
        return false;
    }
    heap_deform_tuple(reader->batch->vals[reader->next++], reader->batch->tupdesc, reader->values,
                      reader->nulls);
    MemoryContextReset(reader->row_context);
    MemoryContext caller = MemoryContextSwitchTo(reader->row_context);
    read_entry(*reader, entry);
    MemoryContextSwitchTo(caller);
    return true;
}

}  // namespace auditchain::pg
