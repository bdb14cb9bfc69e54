// Giving a row its place in a chain: for new rows and for those found when protection begins.
#pragma once

#include "core/receipt.h"
#include "pg/chain.h"
#include "pg/payload.h"

namespace auditchain::pg {

struct ChainRow {
    std::int32_t chain_id;
    std::int64_t position;
    Digest previous;
    Digest checksum;
    Receipt receipt;  // of a log that has receipts
};

// Errors unless the plan's table has the log's columns of auditchain.
void require_chain_columns(const Log& log, const RowPlan& plan, Oid relation);

// The next place in the chain, for a row with this payload.
ChainRow next_row(const Log& log, const HeldChain& chain, std::string_view payload);

// Puts the place into the row's values.
void put_chain_row(const RowPlan& plan, const ChainRow& row, Datum* values, bool* nulls);

}  // namespace auditchain::pg
