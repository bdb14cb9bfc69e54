// status(): what this server gives auditchain, and what is missing.

#include "pg/head_cache.h"
#include "pg/key_ring.h"
#include "pg/settings.h"

extern "C" {
#include <funcapi.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

void put_item(ReturnSetInfo* result, const char* item, const char* value,
              const char* advice = nullptr) {
    Datum values[] = {CStringGetTextDatum(item), CStringGetTextDatum(value),
                      advice ? CStringGetTextDatum(advice) : 0};
    bool nulls[] = {false, false, advice == nullptr};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

void put_key(ReturnSetInfo* result, const char* item, const KeyState& state) {
    put_item(result, item, state.value, state.advice);
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// status() → SETOF (item, value, advice)
AUDITCHAIN_FUNCTION(auditchain_status) {
    InitMaterializedSRF(fcinfo, 0);
    auto* result = reinterpret_cast<ReturnSetInfo*>(fcinfo->resultinfo);
    if (has_head_cache()) {
        put_item(result, "preloading", "on");
        put_item(result, "cached heads", psprintf("up to %d chains", cached_heads));
        put_key(result, "signing key", signing_key_state());
        put_key(result, "receipt key", receipt_key_state());
    } else {
        put_item(result, "preloading", "off",
                 "All works without it, but every transaction looks for the newest entries of its "
                 "chains. Put into postgresql.conf, and restart: shared_preload_libraries = "
                 "'auditchain'");
    }
    put_item(result, "pipelined commit", pipelined_commit ? "on" : "off",
             pipelined_commit ? nullptr
                              : "A chain's next writer waits for the flush of each commit. "
                                "SET auditchain.pipelined_commit = on");
    return 0;
}
