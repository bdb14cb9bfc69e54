#include "pg/export_soc2.h"

#include "pg/buffer.h"
#include "pg/export_event.h"
#include "pg/payload.h"
#include "pg/verify.h"

extern "C" {
#include <commands/dbcommands.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <utils/fmgrprotos.h>
#include <utils/lsyscache.h>
#include <utils/timestamp.h>
}

#include <unistd.h>

namespace auditchain::pg {
namespace {

const char* json_of(const char* text) {
    return value_as_json(TEXTOID, CStringGetTextDatum(text));
}
const char* json_of(bool value) {
    return value_as_json(BOOLOID, BoolGetDatum(value));
}
const char* json_of(std::int64_t value) {
    return value_as_json(INT8OID, Int64GetDatum(value));
}

struct Member {
    const char* name;
    const char* json;
};

const char* object_of(std::initializer_list<Member> members) {
    PallocBuffer object(CurrentMemoryContext);
    object.append("{", 1);
    for (const Member& member : members) {
        append_member(&object, member.name, member.json);
    }
    object.append("}", 2);  // with its terminator
    return object.data();
}

const char* extension_version() {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    query_catalog("SELECT extversion FROM pg_catalog.pg_extension WHERE extname = 'auditchain'",
                  {});
    const char* version =
        SPI_processed > 0 ? SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1) : "";
    version = MemoryContextStrdup(caller, version);
    SPI_finish();
    return version;
}

const char* host_name() {
    char name[256];
    return gethostname(name, sizeof name) == 0 ? pnstrdup(name, sizeof name) : "unknown";
}

// version() without the compiler: "PostgreSQL 15.18 on x86_64-pc-linux-gnu".
const char* platform() {
    char* version = TextDatumGetCString(DirectFunctionCall1(pgsql_version, 0));
    if (char* compiler = strstr(version, ", compiled by ")) {
        *compiler = '\0';
    }
    return version;
}

const char* compliance(const Log& log, const Mapping& mapping) {
    Verification verification = verify_log(log, nullptr);
    return object_of({
        {"standard", json_of("SOC2 Type II")},
        {"scope", json_of(mapping.scope ? mapping.scope
                                        : psprintf("Audit log %s", qualified_name(log.relation)))},
        {"chainIntegrity", json_of(verification.intact)},
        {"chainVerification", json_of(verification.message)},
        {"totalEvents", json_of(verification.total_events)},
        {"verifiedEvents", json_of(verification.verified_events)},
    });
}

const char* export_metadata() {
    return object_of({
        {"tool", json_of("auditchain")},
        {"version", json_of(extension_version())},
        {"hostname", json_of(host_name())},
        {"platform", json_of(platform())},
        {"database", json_of(get_database_name(MyDatabaseId))},
    });
}

}  // namespace

List* soc2_header(const Log& log, const Mapping& mapping) {
    const char* now = value_as_json(TIMESTAMPTZOID, TimestampTzGetDatum(GetCurrentTimestamp()));
    return list_make4(psprintf(R"({"exportedAt":%s,"format":"auditchain-soc2-v1",)", now),
                      psprintf(R"("compliance":%s,)", compliance(log, mapping)),
                      psprintf(R"("exportMetadata":%s,)", export_metadata()),
                      pstrdup(R"("events":[)"));
}

}  // namespace auditchain::pg
