// Numbers of chains as this backend has seen them: a committed chain keeps its number for ever.
#pragma once

#include "pg/chain.h"

namespace auditchain::pg {

// Number of the chain of this log, key and lane; 0 when it has not begun.
std::int32_t chain_id_of(const pg_uuid_t& log, const ChainKey& key, int lane);

}  // namespace auditchain::pg
