// Files that come and go with a transaction: what it has written is removed if it aborts, and what
// it is to remove is removed once its commit can no longer be lost. A crash in between leaves a
// file that the next run removes or does without, and never loses one that is needed.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Removes the file at the end of this transaction: if it, or the subtransaction, aborts; or if it
// commits. The path is one of archive_directory.h.
void remove_file_at_abort(const char* path);
void remove_file_at_commit(const char* path);

void init_archive_files();

}  // namespace auditchain::pg
