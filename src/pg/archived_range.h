// Which entries of a log are in archives: what accounts for gaps in its chains.
#pragma once

#include "core/chain_walk.h"
#include "pg/log.h"

extern "C" {
#include <miscadmin.h>
#include <utils/memutils.h>
}

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

// The next ranges of an archive by chain and position, behind a place (0, 0 at first); palloc'd.
// None at the end. They are seen as above.
std::span<ArchivedRange> read_ranges_of(std::int64_t archive, std::int32_t chain_id,
                                        std::int64_t position);

// Calls take(const ArchivedRange&) for each range of an archive, in a memory context that is reset
// from time to time.
template <typename Take>
void for_each_range_of(std::int64_t archive, Take take) {
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain ranges", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    std::int32_t chain = 0;
    std::int64_t position = 0;
    for (std::span<ArchivedRange> ranges = read_ranges_of(archive, chain, position);
         !ranges.empty(); ranges = read_ranges_of(archive, chain, position)) {
        for (const ArchivedRange& range : ranges) {
            CHECK_FOR_INTERRUPTS();
            chain = range.chain_id;
            position = range.entries.first;
            take(range);
        }
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

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
