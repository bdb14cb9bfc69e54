// Which entries of a log are in archives: what accounts for gaps in its chains.
#pragma once

#include "core/chain_walk.h"
#include "pg/log.h"

namespace auditchain::pg {

struct ArchivedRange {
    std::int64_t archive;
    std::int32_t chain_id;
    ArchivedEntries entries;
};

// Whether the active snapshot sees an archive of the log. SPI is connected, here and below.
bool has_archives(const Log& log);

// The ranges of a chain that reach to a position or beyond, by position, as the active snapshot
// sees them; palloc'd, at most `limit`.
std::span<ArchivedRange> read_archived_ranges(const Log& log, std::int32_t chain_id,
                                              std::int64_t position, std::int64_t limit);

// The ranges of an archive by chain and position, behind a place (0, 0 at first); palloc'd, at most
// `limit`. They are seen as above.
std::span<ArchivedRange> read_ranges_of(std::int64_t archive, std::int32_t chain_id,
                                        std::int64_t position, std::int64_t limit);

// Reads the ranges of one chain after another, as a walk along the chain needs them.
struct ArchivedRanges {
    const Log* log;
    bool any;  // the log has archives
    std::int32_t chain_id;
    MemoryContext context;
    std::span<ArchivedRange> batch;
    std::size_t next;
};

ArchivedRanges make_archived_ranges(const Log& log);
void begin_archived_chain(ArchivedRanges* ranges, std::int32_t chain_id, std::int64_t position);

// The next range, if it begins at this position or before; nullptr: there is none.
const ArchivedRange* next_archived_range(ArchivedRanges* ranges, std::int64_t position);

}  // namespace auditchain::pg
