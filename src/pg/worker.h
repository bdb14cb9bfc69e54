// The launcher of sealers: one background worker of the server, in no database.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Has the launcher look into this database when the transaction commits: it has a new log.
void seal_after_commit();

// Registers the worker; called while shared_preload_libraries are loaded.
void init_worker();

}  // namespace auditchain::pg

extern "C" {
AUDITCHAIN_EXPORT void auditchain_launcher_main(Datum);
}
