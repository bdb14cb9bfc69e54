#include "pg/operations.h"

#include "pg/errors.h"
#include "pg/log.h"
#include "pg/protect.h"

extern "C" {
#include <catalog/namespace.h>
#include <catalog/pg_extension.h>
#include <commands/extension.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

constexpr const char* kName = "operations";
constexpr int kLanes = 16;

bool recording = false;

// Not a member of the extension, so that pg_dump dumps it as any other log: with its triggers, and
// with data that are loaded before these are there.
constexpr const char* kDefinition[] = {
    "CREATE TABLE auditchain.operations ("
    "id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "
    "occurred_at timestamptz NOT NULL DEFAULT clock_timestamp(), "
    "event text NOT NULL, log_id uuid NOT NULL, log text NOT NULL, actor text NOT NULL, "
    "reason text, details jsonb NOT NULL)",
    "CREATE INDEX operations_log_id_idx ON auditchain.operations (log_id)",
    "COMMENT ON TABLE auditchain.operations IS "
    "'What was done to the entries of logs: a log itself, written by auditchain only'",
    "COMMENT ON COLUMN auditchain.operations.id IS 'Number of the operation'",
    "COMMENT ON COLUMN auditchain.operations.occurred_at IS 'When'",
    "COMMENT ON COLUMN auditchain.operations.event IS "
    "'retention_set, hold_placed, hold_lifted, archived, expired, fields_protected, "
    "subject_erased or personal_key_rotated'",
    "COMMENT ON COLUMN auditchain.operations.log_id IS 'The log'",
    "COMMENT ON COLUMN auditchain.operations.log IS 'Its name at that time'",
    "COMMENT ON COLUMN auditchain.operations.actor IS "
    "'Session user, and the role it acted as where that is another'",
    "COMMENT ON COLUMN auditchain.operations.reason IS 'Why, where a reason was given'",
    "COMMENT ON COLUMN auditchain.operations.details IS 'What exactly'",
};

void make_operations_log() {
    // One session makes it; others wait for its end.
    LockDatabaseObject(ExtensionRelationId, get_extension_oid("auditchain", false), 0,
                       ShareUpdateExclusiveLock);
    if (OidIsValid(operations_log())) {
        return;
    }
    for (const char* statement : kDefinition) {
        SPI_execute(statement, false, 0);
    }
    protect_table(operations_log(), {.chain_by = construct_empty_array(NAMEOID),
                                     .lanes = kLanes,
                                     .order_by = nullptr,
                                     .receipts = false,
                                     .operations = true});
    for (const char* own : own_columns(false)) {
        SPI_execute(psprintf("COMMENT ON COLUMN auditchain.operations.%s IS 'Of auditchain'", own),
                    false, 0);
    }
}

void insert_operation(Oid log, const pg_uuid_t& log_id, const Operation& operation) {
    Oid types[] = {TEXTOID, UUIDOID, TEXTOID, TEXTOID, TEXTOID, JSONBOID};
    Datum values[] = {CStringGetTextDatum(operation.event),
                      UUIDPGetDatum(&log_id),
                      CStringGetTextDatum(qualified_name(log)),
                      CStringGetTextDatum(operation.actor),
                      operation.reason ? CStringGetTextDatum(operation.reason) : 0,
                      JsonbPGetDatum(operation.details)};
    const char nulls[] = {' ', ' ', ' ', ' ', operation.reason ? ' ' : 'n', ' '};
    recording = true;
    PG_TRY();
    {
        SPI_execute_with_args(
            "INSERT INTO auditchain.operations (event, log_id, log, actor, reason, details) "
            "VALUES ($1, $2, $3, $4, $5, $6)",
            lengthof(types), types, values, nulls, false, 0);
    }
    PG_FINALLY();
    { recording = false; }
    PG_END_TRY();
}

}  // namespace

Oid operations_log() {
    return get_relname_relid(kName, get_namespace_oid("auditchain", false));
}

bool is_recording_operation() {
    return recording;
}

void record_operation(Oid log, const pg_uuid_t& log_id, const Operation& operation) {
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    Oid schema = get_namespace_oid("auditchain", false);
    SetUserIdAndSecContext(relation_owner(get_relname_relid("log", schema)),
                           security_context | SECURITY_LOCAL_USERID_CHANGE);
    int guc_level = NewGUCNestLevel();
    set_config_option("search_path", "pg_catalog, pg_temp", PGC_USERSET, PGC_S_SESSION,
                      GUC_ACTION_SAVE, true, 0, false);
    if (!OidIsValid(operations_log())) {
        make_operations_log();
    }
    insert_operation(log, log_id, operation);
    AtEOXact_GUC(true, guc_level);
    SetUserIdAndSecContext(user, security_context);
}

Jsonb* jsonb_of(const char* sql, std::initializer_list<Arg> args) {
    query_catalog(psprintf("SELECT to_jsonb(details) FROM (%s) AS details", sql), args);
    bool null;
    return DatumGetJsonbPCopy(
        SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

const char* require_reason(const char* reason, const char* what, const char* hint) {
    if (reason == nullptr || strspn(reason, " \t\r\n") == strlen(reason)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("%s needs a reason", what),
                errdetail("The reason is empty; it is recorded for auditors."),
                errhint("%s", hint));
    }
    return reason;
}

}  // namespace auditchain::pg
