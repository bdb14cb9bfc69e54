// Which entries an archive takes.
#pragma once

#include "pg/entry_scan.h"

extern "C" {
#include <datatype/timestamp.h>
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

// Takes the row that a scan has read last.
struct RowTaker {
    void (*take)(void* state, const EntryScan& scan);
    void* state;
};

struct EntrySelection {
    std::int64_t archive;  // its number; 0: there are none
    std::int64_t entries;
    List* leaves;        // that they are in, of ArchivedLeaf
    TimestampTz newest;  // time of the newest
};

// Reads the sealed entries that are older than `before` and that no hold matches, in the order of
// chains and positions, but for the newest sealed entry of each chain. Verifies each: content, key,
// receipt and links, those to what stays included; errors where anything is wrong. Puts their
// ranges on record under the number of a new archive, and gives their rows to `taker`, unless that
// is nullptr. SPI is connected, with the rights of the log's owner; they are read in the active
// snapshot, which does not see the record.
EntrySelection select_entries(const Log& log, const LogColumn& time, TimestampTz before,
                              const RowTaker* taker);

}  // namespace auditchain::pg
