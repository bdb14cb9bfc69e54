// Cold tables: where the archives of a log are whose destination is a schema.
//
// Its columns are those of the log's payloads, under the names that they have there, and
// auditchain's own: so renaming a column of the log changes no archive. When the columns of the log
// change otherwise, its next archive begins another table. The guard refuses every change, INSERT
// too: entries are put in and taken out below the triggers, by the functions here.
#pragma once

#include "pg/archived_range.h"
#include "pg/entry_scan.h"

extern "C" {
#include <nodes/execnodes.h>
}

namespace auditchain::pg {

// The log as its payloads read from a cold table. palloc'd.
const Log& cold_log(const Log& log, Oid table);

// The cold table of the log in a schema that has its columns as they are now; made if there is
// none. Runs as the current user, who will own it. SPI is connected.
Oid require_cold_table(const Log& log, const char* schema);

// "name type COLLATE …" of each column that such a table has, palloc'd.
const char* cold_columns(const Log& log);

struct ColdWriter {
    Relation table;
    EState* estate;
    ResultRelInfo* result;
    TupleTableSlot* slot;
    int* sources;  // for each column of the table, its index in the scan's rows
};

// Writes rows of the scan's log into its cold table.
ColdWriter open_cold_writer(Oid table, const EntryScan& scan);
void write_cold_row(ColdWriter* writer, const EntryScan& scan);
void close_cold_writer(ColdWriter* writer);

// Deletes the entries of a range from a log, its partitions or a cold table: below the guard, so
// that nobody else can. Returns how many there were. What other tables refer to must not be deleted
// like this. SPI is connected; the active snapshot sees them.
struct EntryRemover;
EntryRemover* open_entry_remover(Oid table);
std::int64_t remove_entries(EntryRemover* remover, const ArchivedRange& range);
void close_entry_remover(EntryRemover* remover);

}  // namespace auditchain::pg
