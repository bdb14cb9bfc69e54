#include "pg/faulty_places.h"

namespace auditchain::pg {
namespace {

constexpr std::size_t kMaxPlaces = 100000;

}  // namespace

void add_faulty_place(FaultyPlaces* places, const FaultyPlace& place) {
    if (places->count == places->capacity) {
        if (places->capacity == kMaxPlaces) {
            return;
        }
        places->capacity = std::min(std::max<std::size_t>(places->capacity * 2, 64), kMaxPlaces);
        Size size = places->capacity * sizeof(FaultyPlace);
        places->places = static_cast<FaultyPlace*>(
            places->places == nullptr ? palloc(size) : repalloc(places->places, size));
    }
    places->places[places->count++] = place;
}

bool overlaps_faulty_place(const FaultyPlaces& places, const FaultyPlace& entries) {
    std::span<const FaultyPlace> known(places.places, places.count);
    return std::any_of(known.begin(), known.end(), [&entries](const FaultyPlace& place) {
        return place.chain_id == entries.chain_id && place.first <= entries.last &&
               place.last >= entries.first;
    });
}

}  // namespace auditchain::pg
