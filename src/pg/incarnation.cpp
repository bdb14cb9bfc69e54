#include "pg/incarnation.h"

#include "pg/errors.h"

extern "C" {
#include <access/xlog.h>
#include <executor/spi.h>
#include <miscadmin.h>
}

namespace auditchain::pg {
namespace {

// Eight random digits, so that two restores of one dump differ.
const char* random_digits() {
    std::uint32_t random;
    if (!pg_strong_random(&random, sizeof random)) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("no random numbers"),
                errdetail("A log's name in its checkpoints has to be unique."),
                errhint("Check the server's source of random numbers."));
    }
    return psprintf("%08x", random);
}

char* result_text(int column) {
    return SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, column);
}

}  // namespace

const char* identity_of(const Log& log) {
    return psprintf("%s/%u, timeline %u", this_database(), log.relation, GetWALInsertionTimeLine());
}

char* uuid_text(const pg_uuid_t& id) {
    return DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id)));
}

Incarnation newest_incarnation(const Log& log) {
    query_catalog_as_seen(
        "SELECT incarnation, origin FROM auditchain.incarnation WHERE log_id = $1 "
        "ORDER BY incarnation DESC LIMIT 1",
        {uuid_arg(log.id)});
    if (SPI_processed == 0) {
        return {0, ""};
    }
    return {pg_strtoint32(result_text(1)), result_text(2)};
}

Incarnation current_incarnation(const Log& log, std::int64_t tree_size) {
    const char* identity = identity_of(log);
    query_catalog_as_seen(
        "SELECT incarnation, origin, recorded_in = $2 FROM auditchain.incarnation "
        "WHERE log_id = $1 ORDER BY incarnation DESC LIMIT 1",
        {uuid_arg(log.id), text_arg(identity)});
    Incarnation newest = {};
    if (SPI_processed > 0) {
        newest = {pg_strtoint32(result_text(1)), result_text(2)};
        if (strcmp(result_text(3), "t") == 0) {
            return newest;
        }
    }
    Incarnation next = {newest.number + 1, nullptr};
    next.origin = psprintf("auditchain/%s/%d-%s", uuid_text(log.id), next.number, random_digits());
    change_catalog(
        "INSERT INTO auditchain.incarnation (log_id, incarnation, origin, recorded_in, tree_size) "
        "VALUES ($1, $2, $3, $4, $5)",
        {uuid_arg(log.id),
         {INT4OID, Int32GetDatum(next.number)},
         text_arg(next.origin),
         text_arg(identity),
         {INT8OID, Int64GetDatum(tree_size)}});
    return next;
}

}  // namespace auditchain::pg
