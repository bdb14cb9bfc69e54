#include "pg/bundle_context.h"

#include "pg/payload.h"

extern "C" {
#include <executor/spi.h>
#include <utils/guc.h>
}

namespace auditchain::pg {

const char* bundle_context(const Log& log) {
    int guc_level = NewGUCNestLevel();
    set_config_option("intervalstyle", "postgres", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE,
                      true, 0, false);
    query_catalog_as_seen(
        "SELECT jsonb_build_object("
        "'policy', (SELECT jsonb_build_object('keep', keep::text, 'hot', hot::text, "
        "'destination', destination) FROM auditchain.retention_policy WHERE log_id = $1), "
        "'holds', (SELECT coalesce(jsonb_agg(jsonb_build_object('hold', hold_id, 'reason', reason, "
        "'matching', matching) ORDER BY hold_id), '[]') FROM auditchain.legal_hold "
        "WHERE log_id = $1 AND lifted_at IS NULL), "
        "'last_verification', (SELECT jsonb_build_object('at', "
        "to_char(verified_at AT TIME ZONE 'UTC', 'YYYY-MM-DD\"T\"HH24:MI:SS\"Z\"'), "
        "'scope', scope, 'intact', intact, 'message', message) FROM auditchain.verification "
        "WHERE log_id = $1 ORDER BY verified_at DESC LIMIT 1))",
        {uuid_arg(log.id)});
    bool null;
    Datum context = SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null);
    AtEOXact_GUC(true, guc_level);
    return value_as_json(JSONBOID, context);
}

}  // namespace auditchain::pg
