#include "pg/chain_ends.h"

#include "pg/entry.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr int kBatch = 1000;

struct Batch {
    ChainEnd ends[kBatch];
    int count;
};

Datum spi_value(HeapTuple row, int column, bool* null) {
    return SPI_getbinval(row, SPI_tuptable->tupdesc, column, null);
}

// The log's next chains by number, past `after`, without their newest entries; strings are palloc'd
// in the current context.
void read_chains(const Log& log, std::int32_t after, Batch* batch) {
    query_catalog_as_seen(
        "SELECT chain_id, key, lane, coalesce((SELECT last_position FROM auditchain.sealed_range "
        "AS s "
        "WHERE s.log_id = c.log_id AND s.chain_id = c.chain_id ORDER BY first_position DESC LIMIT "
        "1), 0), a.last_position, a.checksum "
        "FROM auditchain.chain AS c LEFT JOIN LATERAL (SELECT last_position, checksum "
        "FROM auditchain.archive_range AS r WHERE r.log_id = c.log_id AND r.chain_id = c.chain_id "
        "ORDER BY first_position DESC LIMIT 1) AS a ON true "
        "WHERE log_id = $1 AND chain_id > $2 ORDER BY chain_id LIMIT $3",
        {uuid_arg(log.id), {INT4OID, Int32GetDatum(after)}, {INT8OID, Int64GetDatum(kBatch)}});
    batch->count = static_cast<int>(SPI_processed);
    for (int i = 0; i < batch->count; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        bool null;
        char* key = TextDatumGetCString(spi_value(row, 2, &null));
        bool none;
        Datum archived = spi_value(row, 5, &none);
        std::int64_t last = none ? 0 : DatumGetInt64(archived);
        batch->ends[i] = {.chain_id = DatumGetInt32(spi_value(row, 1, &null)),
                          .key = pg_server_to_any(key, static_cast<int>(strlen(key)), PG_UTF8),
                          .lane = DatumGetInt32(spi_value(row, 3, &null)),
                          .sealed = DatumGetInt64(spi_value(row, 4, &null)),
                          .archived = last,
                          .newest = last,
                          .has_checksum = false,
                          .checksum = {}};
        ChainEnd& end = batch->ends[i];
        end.has_checksum = !none && read_digest(spi_value(row, 6, &null), &end.checksum);
    }
    SPI_freetuptable(SPI_tuptable);
}

// A query for the newest entries of the chains $1, with the caller's rights.
SPIPlanPtr prepare_newest(const Log& log) {
    const char* query = psprintf(
        "SELECT c.place, e.chain_position, e.checksum "
        "FROM pg_catalog.unnest($1) WITH ORDINALITY AS c (id, place) CROSS JOIN LATERAL ("
        "SELECT chain_position, checksum FROM %s "
        "WHERE chain_id OPERATOR(pg_catalog.=) c.id AND chain_position IS NOT NULL "
        "ORDER BY chain_position DESC LIMIT 1) AS e",
        from_item(log.relation));
    Oid types[] = {INT4ARRAYOID};
    return SPI_prepare(query, lengthof(types), types);
}

Datum chain_ids(const Batch& batch) {
    Datum ids[kBatch];
    for (int i = 0; i < batch.count; i++) {
        ids[i] = Int32GetDatum(batch.ends[i].chain_id);
    }
    return PointerGetDatum(
        construct_array(ids, batch.count, INT4OID, sizeof(std::int32_t), true, TYPALIGN_INT));
}

void read_newest(SPIPlanPtr plan, Batch* batch) {
    Datum arguments[] = {chain_ids(*batch)};
    // Read-only, so that it takes the active snapshot.
    SPI_execute_plan(plan, arguments, nullptr, true, 0);
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        bool null;
        ChainEnd& end = batch->ends[DatumGetInt64(spi_value(row, 1, &null)) - 1];
        std::int64_t newest = DatumGetInt64(spi_value(row, 2, &null));
        if (newest <= end.archived) {
            continue;
        }
        end.newest = newest;
        Datum checksum = spi_value(row, 3, &null);
        end.has_checksum = !null && read_digest(checksum, &end.checksum);
    }
    SPI_freetuptable(SPI_tuptable);
}

}  // namespace

void read_chain_ends(const Log& log, const ChainEndReceiver& receiver) {
    SPIPlanPtr newest = prepare_newest(log);
    auto* batch = static_cast<Batch*>(palloc(sizeof(Batch)));
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain chains", ALLOCSET_DEFAULT_SIZES);
    std::int32_t after = 0;
    do {
        CHECK_FOR_INTERRUPTS();
        MemoryContext caller = MemoryContextSwitchTo(context);
        read_chains(log, after, batch);
        read_newest(newest, batch);
        MemoryContextSwitchTo(caller);
        for (int i = 0; i < batch->count; i++) {
            receiver.take(receiver.state, batch->ends[i]);
            after = batch->ends[i].chain_id;
        }
        MemoryContextReset(context);
    } while (batch->count == kBatch);
    SPI_freeplan(newest);
    pfree(batch);
}

}  // namespace auditchain::pg
