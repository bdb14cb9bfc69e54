#include "pg/settings.h"

#include "pg/backend.h"

extern "C" {
#include <miscadmin.h>
#include <utils/guc.h>
}

namespace auditchain::pg {

bool pipelined_commit = true;
int cached_heads = 10000;

void define_settings() {
    DefineCustomBoolVariable(
        "auditchain.pipelined_commit",
        "Frees a chain for its next writer before the commit is flushed, not after.",
        "COMMIT still returns only when the transaction is as durable as synchronous_commit asks.",
        &pipelined_commit, true, PGC_USERSET, 0, nullptr, nullptr, nullptr);
    // Shared memory is sized at server start, so the setting exists only there.
    if (process_shared_preload_libraries_in_progress) {
        DefineCustomIntVariable(
            "auditchain.cached_heads",
            "Number of chains whose newest entry is kept in shared memory.",
            "Other chains read it from the index at each transaction's first insert.",
            &cached_heads, 10000, 16, 10000000, PGC_POSTMASTER, 0, nullptr, nullptr, nullptr);
    }
    MarkGUCPrefixReserved("auditchain");
}

}  // namespace auditchain::pg
