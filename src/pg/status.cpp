// status(): what this server gives auditchain, and what is missing.

#include "pg/head_cache.h"
#include "pg/key_ring.h"
#include "pg/sealer_slots.h"
#include "pg/settings.h"

extern "C" {
#include <access/xlog.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/timestamp.h>
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

void put_sealing(ReturnSetInfo* result, const SealerSlot& slot) {
    if (checkpoint_interval == 0) {
        put_item(result, "sealing", "off");
    } else if (RecoveryInProgress()) {
        put_item(result, "sealing", "on the primary only");
    } else if (!has_launcher()) {
        put_item(
            result, "sealing", "not running",
            "The background worker \"auditchain launcher\" does not run: the server's log says "
            "why. It is started again within seconds.");
    } else if (slot.pid == 0 && is_short_of_workers()) {
        put_item(result, "sealing", "not running",
                 "All background workers of the server are in use. Raise max_worker_processes, and "
                 "restart.");
    } else {
        put_item(result, "sealing", psprintf("every %d s", checkpoint_interval));
    }
}

void put_last_sealing(ReturnSetInfo* result, const SealerSlot& slot) {
    const char* at = "never since the server's start";
    if (slot.sealed_at != 0) {
        at = DatumGetCString(
            DirectFunctionCall1(timestamptz_out, TimestampTzGetDatum(slot.sealed_at)));
    }
    put_item(result, "last sealing", at, slot.failure[0] != '\0' ? slot.failure : nullptr);
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
        put_key(result, "personal key", personal_key_state());
        SealerSlot slot = {};
        find_sealer(MyDatabaseId, &slot);
        put_sealing(result, slot);
        put_last_sealing(result, slot);
    } else {
        put_item(result, "preloading", "off",
                 "All works without it, but every transaction looks for the newest entries of its "
                 "chains, the server has no keys, and no log is sealed by itself. Put into "
                 "postgresql.conf, and restart: shared_preload_libraries = "
                 "'auditchain'");
    }
    put_item(result, "pipelined commit", pipelined_commit ? "on" : "off",
             pipelined_commit ? nullptr
                              : "A chain's next writer waits for the flush of each commit. "
                                "SET auditchain.pipelined_commit = on");
    return 0;
}
