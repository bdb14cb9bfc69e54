// Turns a row into its payload: the canonical JSON text that is hashed (docs/format.md).
#pragma once

#include "pg/log.h"
#include "pg/value_writer.h"

namespace auditchain::pg {

struct PlannedColumn {
    int index;  // in the row's descriptor, from 0
    std::string_view member;
    std::string_view key;  // of make_key
    const char* absent;
    ValueWriter* writer;
};

// How rows of one descriptor become payloads: made once, used for every row.
struct RowPlan {
    std::span<PlannedColumn> columns;  // by UTF-16 order of their members
    std::span<PlannedColumn> key;      // the columns of chain_by, in its order
    OutputDependence dependence;       // of all columns: what enter_output_settings() may change
    bool depends_on_types;             // holds for composite types as they are now
    // Attribute numbers of auditchain's own columns, 0 where the descriptor lacks them or has them
    // with another type.
    AttrNumber chain_id;
    AttrNumber chain_position;
    AttrNumber previous_checksum;
    AttrNumber checksum;
    AttrNumber receipt;  // and 0 in a log without receipts
    JsonWriter* json;
};

// Plans for rows of `descriptor`, whose columns may stand in another order than the log's or be
// mixed with others: names decide. Errors when a chain_by column is missing. palloc'd in the
// current context.
RowPlan* plan_row(const Log& log, TupleDesc descriptor);

// Payload and chain key (canonical JSON array) of a row, UTF-8. Each is valid until the next call
// with this plan. Both leave garbage in the current context. Where the output of a type depends on
// settings, these are changed for the time of a call; a scan may keep
// enter_output_settings(plan->dependence) open around all its rows instead.
std::string_view write_payload(RowPlan* plan, const Datum* values, const bool* nulls);
std::string_view write_chain_key(RowPlan* plan, const Datum* values, const bool* nulls);

// The chain key, palloc'd in the current context.
std::string_view copy_chain_key(RowPlan* plan, const Datum* values, const bool* nulls);

// A single value as canonical JSON, palloc'd: the absent value of a column, say.
char* value_as_json(Oid type, Datum value);

}  // namespace auditchain::pg
