#include "pg/archived_range.h"

#include "pg/entry.h"

extern "C" {
#include <executor/spi.h>
}

namespace auditchain::pg {
namespace {

constexpr std::int64_t kBatch = 1000;

Datum result(std::uint64_t row, int column) {
    bool null;
    return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
}

// What is no checksum is one that nothing hashes to.
Digest digest_result(std::uint64_t row, int column) {
    Digest digest;
    if (!read_digest(result(row, column), &digest)) {
        digest.bytes.fill(0xFF);
    }
    return digest;
}

// The result of a query for archive, chain, first and last position, previous checksum, checksum.
std::span<ArchivedRange> read_result() {
    auto* ranges = static_cast<ArchivedRange*>(palloc((SPI_processed + 1) * sizeof(ArchivedRange)));
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        ranges[i] = {DatumGetInt64(result(i, 1)),
                     DatumGetInt32(result(i, 2)),
                     {DatumGetInt64(result(i, 3)), DatumGetInt64(result(i, 4)), digest_result(i, 5),
                      digest_result(i, 6)}};
    }
    std::span<ArchivedRange> span(ranges, SPI_processed);
    SPI_freetuptable(SPI_tuptable);
    return span;
}

}  // namespace

bool has_archives(const Log& log) {
    query_catalog_as_seen("SELECT FROM auditchain.archive_range WHERE log_id = $1 LIMIT 1",
                          {uuid_arg(log.id)});
    return SPI_processed > 0;
}

std::span<ArchivedRange> read_archived_ranges(const Log& log, std::int32_t chain_id,
                                              std::int64_t position, std::int64_t limit) {
    query_catalog_as_seen(
        "SELECT archive_id, chain_id, first_position, last_position, previous_checksum, checksum "
        "FROM auditchain.archive_range WHERE log_id = $1 AND chain_id = $2 AND last_position >= $3 "
        "AND first_position >= coalesce((SELECT max(first_position) FROM auditchain.archive_range "
        "WHERE log_id = $1 AND chain_id = $2 AND first_position <= $3), 0) "
        "ORDER BY first_position LIMIT $4",
        {uuid_arg(log.id),
         {INT4OID, Int32GetDatum(chain_id)},
         {INT8OID, Int64GetDatum(position)},
         {INT8OID, Int64GetDatum(limit)}});
    return read_result();
}

std::span<ArchivedRange> read_ranges_of(std::int64_t archive, std::int32_t chain_id,
                                        std::int64_t position) {
    query_catalog_as_seen(
        "SELECT archive_id, chain_id, first_position, last_position, previous_checksum, checksum "
        "FROM auditchain.archive_range WHERE archive_id = $1 AND "
        "(chain_id, first_position) > ($2, $3) ORDER BY chain_id, first_position LIMIT $4",
        {{INT8OID, Int64GetDatum(archive)},
         {INT4OID, Int32GetDatum(chain_id)},
         {INT8OID, Int64GetDatum(position)},
         {INT8OID, Int64GetDatum(kBatch)}});
    return read_result();
}

ArchivedRanges make_archived_ranges(const Log& log) {
    return {&log,
            has_archives(log),
            0,
            AllocSetContextCreate(CurrentMemoryContext, "auditchain archived ranges",
                                  ALLOCSET_DEFAULT_SIZES),
            {},
            0};
}

void begin_archived_chain(ArchivedRanges* ranges, std::int32_t chain_id, std::int64_t position) {
    ranges->chain_id = chain_id;
    ranges->batch = {};
    ranges->next = 0;
    if (!ranges->any) {
        return;
    }
    MemoryContextReset(ranges->context);
    MemoryContext caller = MemoryContextSwitchTo(ranges->context);
    ranges->batch = read_archived_ranges(*ranges->log, chain_id, position, kBatch);
    MemoryContextSwitchTo(caller);
}

const ArchivedRange* next_archived_range(ArchivedRanges* ranges, std::int64_t position) {
    if (ranges->next == static_cast<std::size_t>(kBatch)) {
        begin_archived_chain(ranges, ranges->chain_id, ranges->batch.back().entries.last + 1);
    }
    if (ranges->next == ranges->batch.size() ||
        ranges->batch[ranges->next].entries.first > position) {
        return nullptr;
    }
    return &ranges->batch[ranges->next++];
}

}  // namespace auditchain::pg
