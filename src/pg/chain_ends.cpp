#include "pg/chain_ends.h"

#include "pg/entry.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr int kBatch = 1000;

struct NamedChain {
    std::int32_t id;
    std::string_view key;  // UTF-8
};

struct ChainBatch {
    NamedChain chains[kBatch];
    int count;
};

// The log's next chains by number, past `after`; strings are palloc'd in the current context.
void read_chains(const Log& log, std::int32_t after, ChainBatch* batch) {
    query_catalog(
        "SELECT chain_id, key FROM auditchain.chain WHERE log_id = $1 AND chain_id > $2 "
        "ORDER BY chain_id LIMIT $3",
        {uuid_arg(log.id), {INT4OID, Int32GetDatum(after)}, {INT8OID, Int64GetDatum(kBatch)}});
    batch->count = static_cast<int>(SPI_processed);
    for (int i = 0; i < batch->count; i++) {
        HeapTuple row = SPI_tuptable->vals[i];
        bool null;
        batch->chains[i].id = DatumGetInt32(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
        char* key = TextDatumGetCString(SPI_getbinval(row, SPI_tuptable->tupdesc, 2, &null));
        batch->chains[i].key = pg_server_to_any(key, static_cast<int>(strlen(key)), PG_UTF8);
    }
}

// A query for the newest entries of the chains $1, with the caller's rights.
SPIPlanPtr prepare_newest(const Log& log) {
    bool partitioned = get_rel_relkind(log.relation) == RELKIND_PARTITIONED_TABLE;
    const char* query = psprintf(
        "SELECT c.place, e.chain_position, e.checksum "
        "FROM pg_catalog.unnest($1) WITH ORDINALITY AS c (id, place) CROSS JOIN LATERAL ("
        "SELECT chain_position, checksum FROM %s%s "
        "WHERE chain_id OPERATOR(pg_catalog.=) c.id ORDER BY chain_position DESC LIMIT 1) AS e",
        partitioned ? "" : "ONLY ", qualified_name(log.relation));
    Oid types[] = {INT4ARRAYOID};
    return SPI_prepare(query, lengthof(types), types);
}

Datum chain_ids(const ChainBatch& batch) {
    Datum ids[kBatch];
    for (int i = 0; i < batch.count; i++) {
        ids[i] = Int32GetDatum(batch.chains[i].id);
    }
    return PointerGetDatum(
        construct_array(ids, batch.count, INT4OID, sizeof(std::int32_t), true, TYPALIGN_INT));
}

void add_newest(const NamedChain& chain, HeapTuple row, bool keyed, LinkBalance* balance) {
    TupleDesc descriptor = SPI_tuptable->tupdesc;
    bool no_position;
    bool no_checksum;
    auto position = DatumGetInt64(SPI_getbinval(row, descriptor, 2, &no_position));
    Datum checksum = SPI_getbinval(row, descriptor, 3, &no_checksum);
    // What is missing here has been found to be no sound entry.
    Digest digest;
    if (!no_position && !no_checksum && read_digest(checksum, &digest)) {
        balance->add_chain(chain.id, position, digest);
        if (keyed) {
            balance->add_expected_keys(chain.id, chain.key, position);
        }
    }
}

}  // namespace

std::int32_t add_chain_ends(const Log& log, LinkBalance* balance) {
    SPIPlanPtr newest = prepare_newest(log);
    auto* batch = static_cast<ChainBatch*>(palloc(sizeof(ChainBatch)));
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain chains", ALLOCSET_DEFAULT_SIZES);
    std::int32_t chains = 0;
    std::int32_t after = 0;
    do {
        CHECK_FOR_INTERRUPTS();
        MemoryContext caller = MemoryContextSwitchTo(context);
        read_chains(log, after, batch);
        SPI_freetuptable(SPI_tuptable);
        Datum arguments[] = {chain_ids(*batch)};
        // Read-only, so that it takes the active snapshot.
        SPI_execute_plan(newest, arguments, nullptr, true, 0);
        for (std::uint64_t i = 0; i < SPI_processed; i++) {
            bool null;
            HeapTuple row = SPI_tuptable->vals[i];
            auto place = DatumGetInt64(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
            add_newest(batch->chains[place - 1], row, !log.chain_by.empty(), balance);
            chains++;
        }
        SPI_freetuptable(SPI_tuptable);
        if (batch->count > 0) {
            after = batch->chains[batch->count - 1].id;
        }
        MemoryContextSwitchTo(caller);
        MemoryContextReset(context);
    } while (batch->count == kBatch);
    SPI_freeplan(newest);
    return chains;
}

}  // namespace auditchain::pg
