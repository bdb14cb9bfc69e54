// Progress of long work, shown by the view auditchain.progress: in shared memory, so only where the
// library is in shared_preload_libraries. Elsewhere all of this does nothing.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Begins to show what this backend does to a log, until the current memory context is deleted or
// reset, however that comes about. Nothing happens while an outer piece of work is shown.
void begin_progress(Oid log, const char* command, const char* phase, std::int64_t total);

// Enters another phase of the work, with counts of its own.
void enter_phase(const char* phase, std::int64_t total);

// Where this backend shows its progress, for workers to advance it; -1: nowhere.
int progress_slot();

// Counts entries as done.
void advance_progress(int slot, std::int64_t entries);

// Reserves the shared memory; called while shared_preload_libraries are loaded.
void init_progress();

}  // namespace auditchain::pg
