// Newest entries of chains in shared memory, where the library is in shared_preload_libraries.
#pragma once

#include "pg/chain.h"

namespace auditchain::pg {

// Whether there is a cache: false without shared_preload_libraries.
bool has_head_cache();

// The newest committed entry of a chain; false when the cache does not have it. The caller holds
// the chain, so that nobody moves the head meanwhile.
bool find_cached_head(const pg_uuid_t& log, std::int32_t chain_id, Head* head);

// Puts the newest entry of a chain into the cache, in the place of the one used least recently
// among those it competes with. The caller holds the chain; neither function raises an error.
void cache_head(const pg_uuid_t& log, std::int32_t chain_id, const Head& head);
void forget_cached_head(const pg_uuid_t& log, std::int32_t chain_id);

// Forgets all chains of a log: its table may have been changed behind the writers' backs.
void forget_cached_heads(const pg_uuid_t& log);

// Reserves the shared memory; called while shared_preload_libraries are loaded.
void init_head_cache();

}  // namespace auditchain::pg
