// Time stamps of checkpoints by authorities (RFC 3161), of the text that the view checkpoints
// publishes. Their signatures are for `openssl ts -verify`: the server has no list of authorities.

#include "core/timestamp.h"

#include "core/malformed.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/log.h"

extern "C" {
#include <executor/spi.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// A Timestamp in a form that outlives C++.
struct ReadTimestamp {
    bytea* token;
    Digest imprint;
    std::int64_t time;
    char authority[1024];  // longer ones are cut off
};

// SHA-256 of the published text in a row of the queries below.
Digest published_hash(std::uint64_t row) {
    bool null;
    text* published =
        DatumGetTextPP(SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, 2, &null));
    std::string_view bytes(VARDATA_ANY(published), VARSIZE_ANY_EXHDR(published));
    Sha256& hasher = sha256();
    Digest hash;
    barrier([&] { hash = hasher({bytes}); });
    return hash;
}

Digest newest_published_hash(const Log& log) {
    query_catalog(
        "SELECT incarnation, auditchain._published(log_id, tree_size, root, note) "
        "FROM auditchain.checkpoint WHERE log_id = $1 "
        "ORDER BY tree_size DESC, incarnation DESC LIMIT 1",
        {uuid_arg(log.id)});
    if (SPI_processed == 0) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_SEALED),
                errmsg("log \"%s\" has no checkpoint", get_rel_name(log.relation)),
                errdetail("It has not been sealed yet."),
                errhint("CALL auditchain.checkpoint('%s')", qualified_name(log.relation)));
    }
    return published_hash(0);
}

[[noreturn]] void refuse_timestamp(const Log& log, std::int64_t tree_size, const char* fault) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("this is no time stamp of the checkpoint of %s of log \"%s\"",
                   count_entries(tree_size), get_rel_name(log.relation)),
            errdetail("%s", fault),
            errhint("Pass, byte for byte, what a time-stamping authority answered to "
                    "auditchain.timestamp_request('%s').",
                    qualified_name(log.relation)));
}

void read_timestamp(const Log& log, std::int64_t tree_size, std::string_view der,
                    ReadTimestamp* out) {
    char fault[256] = "";
    std::string_view token;
    barrier([&] {
        try {
            const Timestamp timestamp = parse_timestamp(der);
            token = timestamp.token;
            out->imprint = timestamp.imprint;
            out->time = timestamp.time;
            strlcpy(out->authority, timestamp.authority.c_str(), sizeof out->authority);
        } catch (const Malformed& e) {
            strlcpy(fault, e.what(), sizeof fault);
        }
    });
    if (fault[0] != '\0') {
        refuse_timestamp(log, tree_size, fault);
    }
    out->token = static_cast<bytea*>(palloc(VARHDRSZ + token.size()));
    SET_VARSIZE(out->token, VARHDRSZ + token.size());
    memcpy(VARDATA(out->token), token.data(), token.size());
}

// The life of the log whose checkpoint of this size has been stamped: a restored log may have
// another one of the same size.
std::int32_t find_stamped(const Log& log, std::int64_t tree_size, const Digest& imprint) {
    query_catalog(
        "SELECT incarnation, auditchain._published(log_id, tree_size, root, note) "
        "FROM auditchain.checkpoint WHERE log_id = $1 AND tree_size = $2",
        {uuid_arg(log.id), {INT8OID, Int64GetDatum(tree_size)}});
    if (SPI_processed == 0) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no checkpoint of %s", get_rel_name(log.relation),
                       count_entries(tree_size)),
                errdetail("The sizes of its checkpoints are in the view auditchain.checkpoints."),
                errhint("Pass the size of the checkpoint that was the newest when the time stamp "
                        "was asked for."));
    }
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        if (published_hash(i) == imprint) {
            bool null;
            return DatumGetInt32(
                SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
        }
    }
    refuse_timestamp(log, tree_size,
                     "its message imprint is that of another text: of another checkpoint, perhaps");
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain;
using namespace auditchain::pg;

// timestamp_request(log regclass) → bytea
AUDITCHAIN_FUNCTION(auditchain_timestamp_request) {
    constexpr std::size_t kMaxRequest = 256;
    const Log& log = require_log(PG_GETARG_OID(0));
    auto* request = static_cast<bytea*>(palloc(VARHDRSZ + kMaxRequest));
    SPI_connect();
    int guc_level = forbid_row_security();
    require_readable(log);
    Digest imprint = newest_published_hash(log);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    std::uint64_t nonce;
    if (!pg_strong_random(&nonce, sizeof nonce)) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("there are no random numbers"),
                errdetail("A request for a time stamp has one."), errhint("Try again."));
    }
    barrier([&] {
        const std::string der = timestamp_request(imprint, nonce);
        SET_VARSIZE(request, VARHDRSZ + der.copy(VARDATA(request), kMaxRequest));
    });
    PG_RETURN_BYTEA_P(request);
}

// add_timestamp(log regclass, tree_size bigint, token bytea)
AUDITCHAIN_FUNCTION(auditchain_add_timestamp) {
    const Log& log = require_log(PG_GETARG_OID(0));
    std::int64_t tree_size = PG_GETARG_INT64(1);
    bytea* given = PG_GETARG_BYTEA_PP(2);
    require_owner(log.relation);
    auto* timestamp = new (palloc0(sizeof(ReadTimestamp))) ReadTimestamp{};
    read_timestamp(log, tree_size, {VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given)}, timestamp);
    SPI_connect();
    std::int32_t incarnation = find_stamped(log, tree_size, timestamp->imprint);
    const char* authority = timestamp->authority[0] == '\0' ? nullptr : timestamp->authority;
    change_catalog(
        "INSERT INTO auditchain.checkpoint_timestamp "
        "(log_id, tree_size, incarnation, stamped_at, authority, token) "
        "VALUES ($1, $2, $3, $4, $5, $6) ON CONFLICT DO NOTHING",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(tree_size)},
         {INT4OID, Int32GetDatum(incarnation)},
         {TIMESTAMPTZOID, TimestampTzGetDatum(time_t_to_timestamptz(timestamp->time))},
         text_arg(authority),
         {BYTEAOID, PointerGetDatum(timestamp->token)}});
    SPI_finish();
    PG_RETURN_VOID();
}
