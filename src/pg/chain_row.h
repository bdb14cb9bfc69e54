// Giving a row its place in a chain: for new rows and for those found when protection begins.
#pragma once

#include "core/digest.h"
#include "pg/chain.h"
#include "pg/payload.h"

namespace auditchain::pg {

struct ChainRow {
    std::int32_t chain_id;
    std::int64_t position;
    Digest previous;
    Digest checksum;
};

// Errors unless the plan's table has auditchain's columns.
void require_chain_columns(const RowPlan& plan, Oid relation);

// Gives a row of `leaf` the next place in its chain, and moves the chain's head there.
ChainRow chain_row(HeldChain* chain, RowPlan* plan, Oid leaf, const Datum* values,
                   const bool* nulls);

// Values of chain_id, chain_position, previous_checksum and checksum; palloc'd.
void chain_row_values(const ChainRow& row, Datum values[4]);

}  // namespace auditchain::pg
