// Loading of the library.

#include "pg/chain.h"
#include "pg/log_cache.h"

extern "C" {
PG_MODULE_MAGIC;
AUDITCHAIN_EXPORT void _PG_init(void);
}

void _PG_init(void) {
    auditchain::pg::init_log_cache();
    auditchain::pg::init_chains();
}
