#include "pg/chain_links.h"

#include "pg/entry.h"

extern "C" {
#include <miscadmin.h>
}

namespace auditchain::pg {
namespace {

constexpr long kBatch = 1000;

Digest read_column(HeapTuple row, TupleDesc descriptor, int column) {
    bool null;
    Datum value = SPI_getbinval(row, descriptor, column, &null);
    Digest digest;
    if (null || !read_digest(value, &digest)) {
        digest.bytes.fill(0xFF);
    }
    return digest;
}

}  // namespace

LinkReader* make_link_reader(const Log& log) {
    const char* query = psprintf(
        "SELECT chain_position, previous_checksum, checksum FROM %s "
        "WHERE chain_id OPERATOR(pg_catalog.=) $1 AND chain_position OPERATOR(pg_catalog.>=) $2 "
        "AND chain_position OPERATOR(pg_catalog.<=) $3 ORDER BY chain_position",
        from_item(log.relation));
    Oid types[] = {INT4OID, INT8OID, INT8OID};
    auto* reader = static_cast<LinkReader*>(palloc0(sizeof(LinkReader)));
    reader->plan = SPI_prepare(query, lengthof(types), types);
    return reader;
}

void begin_links(LinkReader* reader, std::int32_t chain_id, std::int64_t first, std::int64_t last) {
    Datum arguments[] = {Int32GetDatum(chain_id), Int64GetDatum(first), Int64GetDatum(last)};
    // Read-only, so that it takes the active snapshot.
    reader->portal = SPI_cursor_open(nullptr, reader->plan, arguments, nullptr, true);
    reader->batch = nullptr;
    reader->next = 0;
}

bool next_link(LinkReader* reader, ChainLink* link) {
    CHECK_FOR_INTERRUPTS();
    if (reader->batch == nullptr || reader->next == reader->batch->numvals) {
        if (reader->batch != nullptr) {
            SPI_freetuptable(reader->batch);
        }
        SPI_cursor_fetch(reader->portal, true, kBatch);
        reader->batch = SPI_tuptable;
        reader->next = 0;
        if (reader->batch->numvals == 0) {
            end_links(reader);
            return false;
        }
    }
    HeapTuple row = reader->batch->vals[reader->next++];
    bool null;
    link->position = DatumGetInt64(SPI_getbinval(row, reader->batch->tupdesc, 1, &null));
    link->previous = read_column(row, reader->batch->tupdesc, 2);
    link->checksum = read_column(row, reader->batch->tupdesc, 3);
    return true;
}

void end_links(LinkReader* reader) {
    SPI_freetuptable(reader->batch);
    SPI_cursor_close(reader->portal);
    reader->batch = nullptr;
    reader->portal = nullptr;
}

}  // namespace auditchain::pg
