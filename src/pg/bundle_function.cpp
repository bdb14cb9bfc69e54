// bundle(): the bundle of a period, for whoever may read the log.

#include "pg/bundle.h"
#include "pg/bundle_context.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/export_query.h"

extern "C" {
#include <funcapi.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

// In each chain all entries from the first of the period to the last: so nothing can be left out
// between them by a time that is not in order.
std::span<PositionRange> positions_of(const Log& log, const Selection& selection) {
    if (selection.since == nullptr && selection.until == nullptr) {
        return sealed_positions(log);
    }
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql,
                     "SELECT e.chain_id, pg_catalog.min(e.chain_position), "
                     "pg_catalog.max(e.chain_position) FROM %s e WHERE e.chain_id IS NOT NULL",
                     from_item(log.relation));
    append_time_range(&sql, log, resolve_mapping(log), selection);
    appendStringInfoString(&sql, " GROUP BY e.chain_id ORDER BY e.chain_id");
    SPI_execute(sql.data, true, 0);
    return read_position_ranges();
}

const char* utc_text(const TimestampTz* time) {
    if (time == nullptr) {
        return nullptr;
    }
    const char* json = value_as_json(TIMESTAMPTZOID, TimestampTzGetDatum(*time));
    return pnstrdup(json + 1, strlen(json) - 2);
}

void put_piece(void* state, std::string_view bytes) {
    auto* result = static_cast<ReturnSetInfo*>(state);
    auto* piece = static_cast<bytea*>(palloc(VARHDRSZ + bytes.size()));
    SET_VARSIZE(piece, VARHDRSZ + bytes.size());
    memcpy(VARDATA(piece), bytes.data(), bytes.size());
    Datum value = PointerGetDatum(piece);
    bool null = false;
    tuplestore_putvalues(result->setResult, result->setDesc, &value, &null);
    pfree(piece);
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// bundle(log regclass, since timestamptz, until timestamptz, encrypt boolean) → SETOF bytea
AUDITCHAIN_FUNCTION(auditchain_bundle) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(3)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log and encrypt must not be NULL"),
                errhint("since and until may be: then the bundle has every sealed entry."));
    }
    TimestampTz bounds[2] = {PG_ARGISNULL(1) ? 0 : PG_GETARG_TIMESTAMPTZ(1),
                             PG_ARGISNULL(2) ? 0 : PG_GETARG_TIMESTAMPTZ(2)};
    Selection selection = {PG_ARGISNULL(1) ? nullptr : &bounds[0],
                           PG_ARGISNULL(2) ? nullptr : &bounds[1], nullptr};
    const Log& log = require_log(PG_GETARG_OID(0));
    // The pieces go to disk beyond work_mem, and none goes out before all are known to hold.
    InitMaterializedSRF(fcinfo, MAT_SRF_USE_EXPECTED_DESC);
    SPI_connect();
    int guc_level = forbid_row_security();
    require_readable(log);
    TreeHead head = require_signed_head(log);
    BundleRequest request = {positions_of(log, selection), utc_text(selection.since),
                             utc_text(selection.until), bundle_context(log), PG_GETARG_BOOL(3)};
    write_bundle(log, head, request, {put_piece, fcinfo->resultinfo});
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    return static_cast<Datum>(0);
}
