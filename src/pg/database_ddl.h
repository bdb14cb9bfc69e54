// Commands on whole databases, which must not find a sealer in them.
#pragma once

namespace auditchain::pg {

// Called while shared_preload_libraries are loaded.
void init_database_ddl();

}  // namespace auditchain::pg
