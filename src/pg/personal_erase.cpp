// erase_subject(): destroys the keys of a data subject; and the rotation of the master key.

#include "pg/errors.h"
#include "pg/hold.h"
#include "pg/key_ring.h"
#include "pg/operations.h"
#include "pg/personal_fields.h"
#include "pg/personal_key.h"
#include "pg/retention.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/fmgrprotos.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
#include <utils/numeric.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

[[noreturn]] void refuse_held(const Log& log, std::int64_t hold, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_HELD), errmsg("the subject's data are under a legal hold"),
            errdetail("Hold %lld on log \"%s\" %s.", static_cast<long long>(hold),
                      get_rel_name(log.relation), detail),
            errhint("SELECT auditchain.lift_hold(%lld, 'why') lifts it.",
                    static_cast<long long>(hold)));
    pg_unreachable();
}

// The logs with personal fields, in an order that is the same for all who lock them.
List* personal_logs() {
    query_catalog(
        "SELECT l.relation::oid FROM auditchain.personal_log JOIN auditchain.log AS l "
        "USING (log_id) WHERE l.relation IS NOT NULL ORDER BY 1",
        {});
    SPITupleTable* rows = SPI_tuptable;
    List* logs = NIL;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        Oid relation = DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        logs = lappend(logs, const_cast<Log*>(&require_log(relation)));
    }
    return logs;
}

// Whether the hold is surely on another subject, by its filter alone: the text of an integer, or,
// in a column of text, any other text.
bool is_on_another(const Log& log, Jsonb* matching, const char* subject) {
    const char* member = read_declaration(log).subject;
    JsonbValue* value = getKeyJsonValueFromContainer(&matching->root, member,
                                                     static_cast<int>(strlen(member)), nullptr);
    if (value == nullptr) {
        return false;
    }
    if (value->type == jbvNumeric) {
        const char* text =
            DatumGetCString(DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
        return strspn(text, "-0123456789") == strlen(text) && strcmp(text, subject) != 0;
    }
    const char* column = subject_column(log, log.relation);
    Oid type = getBaseType(get_atttype(log.relation, get_attnum(log.relation, column)));
    return value->type == jbvString && (type == TEXTOID || type == VARCHAROID) &&
           std::string_view(value->val.string.val, value->val.string.len) != subject;
}

void require_not_held(const Log& log, Oid relation, const char* subject) {
    ListCell* cell;
    foreach (cell, hold_conditions(log, relation)) {
        auto* condition = static_cast<const HoldCondition*>(lfirst(cell));
        if (!OidIsValid(relation)) {
            if (is_on_another(log, condition->matching, subject)) {
                continue;
            }
            refuse_held(log, condition->hold, "may match entries in archives that are files");
        }
        const char* query =
            psprintf("SELECT FROM %s AS e WHERE e.%s::text = %s AND %s LIMIT 1",
                     qualified_name(relation), quote_identifier(subject_column(log, relation)),
                     quote_literal_cstr(subject), condition->sql);
        SPI_execute(query, true, 1);
        if (SPI_processed > 0) {
            refuse_held(log, condition->hold, "matches entries of the subject");
        }
    }
}

// What is committed now, whatever snapshot the transaction has.
void require_no_hold(const Log& log, const char* subject) {
    OwnerWork work = begin_owner_work(log);
    PushActiveSnapshot(GetLatestSnapshot());
    require_not_held(log, log.relation, subject);
    ListCell* cell;
    foreach (cell, archive_tables(log)) {
        require_not_held(log, lfirst_oid(cell), subject);
    }
    PopActiveSnapshot();
    end_owner_work(work);
}

// Operations on the keys concern all logs: they are those of the log of operations itself.
void record_key_operation(const char* event, const char* reason, Jsonb* details) {
    const Log& log = require_log(operations_log());
    record_operation(log.relation, log.id, {event, current_actor(), reason, details});
}

const char* pseudonym_hex(std::string_view subject) {
    Digest pseudonym = subject_pseudonym(subject);
    auto* hex = static_cast<char*>(palloc0(kDigestHexSize + 1));
    write_hex(pseudonym.bytes.data(), pseudonym.bytes.size(), hex);
    return hex;
}

// An identifier that is misspelt must not pass for one that is erased.
[[noreturn]] void refuse_unknown_subject() {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("the data subject has no key in this database"),
            errdetail("Identifiers are compared as text, each character counts. Nothing was ever "
                      "encrypted for this one, or it was erased already. Nothing is recorded."),
            errhint("auditchain.operations has the erasures, under "
                    "auditchain.subject_pseudonym('subject')."));
    pg_unreachable();
}

void record_erasure(std::string_view subject, const char* reason, List* keys) {
    auto* ids = static_cast<Datum*>(palloc(sizeof(Datum) * (list_length(keys) + 1)));
    ListCell* cell;
    foreach (cell, keys) {
        ids[foreach_current_index(cell)] = UUIDPGetDatum(static_cast<pg_uuid_t*>(lfirst(cell)));
    }
    ArrayType* array =
        construct_array(ids, list_length(keys), UUIDOID, UUID_LEN, false, TYPALIGN_CHAR);
    record_key_operation(
        "subject_erased", reason,
        jsonb_of("SELECT $1 AS subject_pseudonym, $2 AS keys",
                 {text_arg(pseudonym_hex(subject)), {UUIDARRAYOID, PointerGetDatum(array)}}));
}

const char* require_subject_argument(FunctionCallInfo fcinfo) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("subject must not be NULL"),
                errhint("Give the identifier that entries have in the log's subject column."));
    }
    return text_to_cstring(PG_GETARG_TEXT_PP(0));
}

std::string_view to_utf8(const char* text) {
    return {pg_server_to_any(text, static_cast<int>(strlen(text)), PG_UTF8)};
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// erase_subject(subject text, reason text) → bigint
AUDITCHAIN_FUNCTION(auditchain_erase_subject) {
    const char* subject = require_subject_argument(fcinfo);
    const char* reason =
        require_reason(PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1)),
                       "an erasure", "SELECT auditchain.erase_subject('subject', 'why')");
    PreventCommandIfReadOnly("erase_subject()");
    PreventCommandDuringRecovery("erase_subject()");
    std::string_view identifier = to_utf8(subject);
    SPI_connect();
    List* logs = personal_logs();
    ListCell* cell;
    // Holds are placed before, or after. So are entries.
    foreach (cell, logs) {
        lock_retention(*static_cast<const Log*>(lfirst(cell)));
    }
    lock_subject_keys(identifier);
    foreach (cell, logs) {
        require_no_hold(*static_cast<const Log*>(lfirst(cell)), subject);
    }
    List* keys = destroy_subject_keys(identifier);
    if (keys == NIL) {
        refuse_unknown_subject();
    }
    record_erasure(identifier, reason, keys);
    std::int64_t count = list_length(keys);
    SPI_finish();
    PG_RETURN_INT64(count);
}

// subject_pseudonym(subject text) → text
AUDITCHAIN_FUNCTION(auditchain_subject_pseudonym) {
    PG_RETURN_TEXT_P(cstring_to_text(pseudonym_hex(to_utf8(require_subject_argument(fcinfo)))));
}

// rotate_personal_key() → bigint
AUDITCHAIN_FUNCTION(auditchain_rotate_personal_key) {
    PreventCommandIfReadOnly("rotate_personal_key()");
    PreventCommandDuringRecovery("rotate_personal_key()");
    SPI_connect();
    std::int64_t count = rewrap_subject_keys();
    if (count > 0) {
        record_key_operation("personal_key_rotated", nullptr,
                             jsonb_of("SELECT $1 AS keys", {{INT8OID, Int64GetDatum(count)}}));
    }
    SPI_finish();
    PG_RETURN_INT64(count);
}
