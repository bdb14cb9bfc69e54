// The query that an export reads its entries with.
#pragma once

#include "pg/mapping.h"

extern "C" {
#include <executor/execdesc.h>
#include <lib/stringinfo.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {

struct Selection {
    const TimestampTz* since;  // nullptr: from the beginning
    const TimestampTz* until;  // the first moment that is not selected; nullptr: to the end
    Jsonb* filter;             // values that columns must have; nullptr: any
};

// Appends " AND e.column op time". Columns without a time zone are read as UTC, as payloads write
// them.
void append_time_bound(StringInfo sql, const Log& log, const LogColumn& column, const char* op,
                       TimestampTz bound);

// SQL for the selected entries of a log in the order of chains and positions, with the columns that
// payloads contain and auditchain's own. Errors when the selection does not fit the log.
const char* entry_query(const Log& log, const Mapping& mapping, const Selection& selection);

// Appends " AND …" for the time range of the selection to a condition on the log as `e`. Errors
// when the log has no time column.
void append_time_range(StringInfo sql, const Log& log, const Mapping& mapping,
                       const Selection& selection);

// Takes a row; the slot holds until it returns.
struct RowReceiver {
    void (*take)(void* state, TupleTableSlot* slot);
    void* state;
};

// A query that runs in steps, in the snapshot that was active when it was opened.
//
// An executor of its own, as SQL functions that return sets have: a portal, SPI's cursor, could be
// taken away between two steps by CLOSE ALL, by ROLLBACK TO SAVEPOINT or, under a cursor WITH HOLD,
// by COMMIT.
struct RowSource;

// Runs with the caller's rights; row security that would hide rows is an error. palloc'd in the
// current context.
RowSource* open_rows(const char* sql, const RowReceiver& receiver);
TupleDesc row_descriptor(const RowSource& source);

// Hands the next row, if there is one, to the receiver.
void run_to_next_row(RowSource* source);

// Needs no call when the (sub)transaction fails.
void close_rows(RowSource* source);

}  // namespace auditchain::pg
