// Archives in cold tables: the part of archive() that is about these.
#pragma once

#include "pg/archive_selection.h"
#include "pg/cold_table.h"

namespace auditchain::pg {

// Entries on their way into the cold table of a log, which the first one makes if it is not there.
struct ColdCopy {
    const Log* log;
    const char* schema;
    Oid table;  // InvalidOid: no entry has come yet
    ColdWriter writer;
};

// A RowTaker's, whose state is the ColdCopy. The current context lives as long as that.
void take_cold_row(void* state, const EntryScan& scan);
void end_cold_copy(ColdCopy* copy);

// Errors unless the table has what was selected. The active snapshot sees both.
void require_cold_copy(const ColdCopy& copy, const EntrySelection& selected);

}  // namespace auditchain::pg
