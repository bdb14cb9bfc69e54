// The newest entry of every chain of a log, as far as the active snapshot sees.
#pragma once

#include "core/link_balance.h"
#include "pg/log.h"

namespace auditchain::pg {

// Adds the genesis, the newest entry and the expected keys of each chain that has entries, and
// returns how many there are. Reads by the index on (chain_id, chain_position), some hundred chains
// at a time. SPI is connected.
std::int32_t add_chain_ends(const Log& log, LinkBalance* balance);

}  // namespace auditchain::pg
