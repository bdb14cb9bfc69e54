// The places of a log where verification found the entries themselves at fault: they explain what
// the checkpoints make of them.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Entries first..last of a chain.
struct FaultyPlace {
    std::int32_t chain_id;
    std::int64_t first;
    std::int64_t last;
};

// A list of them; it may be incomplete if there are very many.
struct FaultyPlaces {
    FaultyPlace* places;
    std::size_t count;
    std::size_t capacity;
};

// The list is palloc'd where its first place is added.
void add_faulty_place(FaultyPlaces* places, const FaultyPlace& place);

// Whether one of these entries is at such a place.
bool overlaps_faulty_place(const FaultyPlaces& places, const FaultyPlace& entries);

}  // namespace auditchain::pg
