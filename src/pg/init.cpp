// Loading of the library.

#include "pg/archive_file.h"
#include "pg/commit_pipeline.h"
#include "pg/database_ddl.h"
#include "pg/head_cache.h"
#include "pg/key_ring.h"
#include "pg/lane_board.h"
#include "pg/log_cache.h"
#include "pg/personal_key.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/settings.h"
#include "pg/worker.h"

extern "C" {
#include <miscadmin.h>

PG_MODULE_MAGIC;
AUDITCHAIN_EXPORT void _PG_init(void);
}

void _PG_init(void) {
    auditchain::pg::define_settings();
    auditchain::pg::init_log_cache();
    // Callbacks run in the reverse order: chains are free, and standbys have the commit, before
    // files are removed.
    auditchain::pg::init_archive_files();
    auditchain::pg::init_commit_pipeline();
    auditchain::pg::init_receipts();
    auditchain::pg::init_subject_keys();
    if (process_shared_preload_libraries_in_progress) {
        auditchain::pg::init_head_cache();
        auditchain::pg::init_lane_board();
        auditchain::pg::init_progress();
        auditchain::pg::init_key_ring();
        // pg_upgrade must find its databases as it left them, and nobody in them.
        if (!IsBinaryUpgrade) {
            auditchain::pg::init_worker();
            auditchain::pg::init_database_ddl();
        }
    }
}
