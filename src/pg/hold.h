// Holds: which entries of a log are neither archived nor expired.
#pragma once

#include "pg/log.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace auditchain::pg {

// Where rows are from: a table, or read back from payloads, which do not tell all of some values.
enum class RowsFrom { table, payloads };

// SQL for a condition that is true of the rows `e` that some hold of the log matches, and true or
// NULL of no other; nullptr where there is no hold. The relation is the log, or an archive of it,
// whose columns are named as members of payloads. SPI is connected.
const char* held_condition(const Log& log, Oid relation, RowsFrom rows = RowsFrom::table);

// The same for each hold, and its filter, whose members are those of payloads.
struct HoldCondition {
    std::int64_t hold;
    const char* sql;
    Jsonb* matching;
};
List* hold_conditions(const Log& log, Oid relation, RowsFrom rows = RowsFrom::table);

}  // namespace auditchain::pg
