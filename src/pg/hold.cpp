#include "pg/hold.h"

#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/filter.h"
#include "pg/operations.h"
#include "pg/personal_fields.h"
#include "pg/retention.h"

extern "C" {
#include <catalog/pg_type.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
}

namespace auditchain::pg {
namespace {

// Whether payloads tell all of a value of the type. Of an array whose elements are arrays in JSON,
// or may be, they do not tell the dimensions, nor a JSON null from NULL.
bool is_told_by_payloads(Oid type) {
    check_stack_depth();
    type = getBaseType(type);
    if (Oid element = get_element_type(type); OidIsValid(element)) {
        element = getBaseType(element);
        return element != JSONBOID && !OidIsValid(get_element_type(element)) &&
               is_told_by_payloads(element);
    }
    if (get_typtype(type) != TYPTYPE_COMPOSITE) {
        return true;
    }
    TupleDesc fields = lookup_rowtype_tupdesc_copy(type, -1);
    bool told = true;
    for (int i = 0; i < fields->natts; i++) {
        Form_pg_attribute field = TupleDescAttr(fields, i);
        told = told && (field->attisdropped || is_told_by_payloads(field->atttypid));
    }
    return told;
}

// The column that a member of payloads is in; nullptr: the relation has none, or it is encrypted.
const char* column_of(const Log& log, Oid relation, const char* member) {
    if (is_personal_member(log, member)) {
        return nullptr;
    }
    if (relation != log.relation) {
        return get_attnum(relation, member) > 0 ? member : nullptr;
    }
    for (const LogColumn& column : log.columns) {
        if (strcmp(member_text(column), member) == 0) {
            return NameStr(column.name);
        }
    }
    return nullptr;
}

bool is_told(Oid relation, const char* column, RowsFrom rows) {
    return rows == RowsFrom::table ||
           is_told_by_payloads(get_atttype(relation, get_attnum(relation, column)));
}

// What a hold matches, as SQL. A column that the relation has not got, that is encrypted, or whose
// values are not what they were, cannot tell, so all entries are held.
void append_hold(StringInfo sql, const Log& log, Oid relation, Jsonb* matching, RowsFrom rows) {
    appendStringInfoString(sql, "(true");
    for_each_filter_member(matching, [&](const char* member, JsonbValue* value) {
        const char* column = column_of(log, relation, member);
        if (column != nullptr && is_told(relation, column, rows)) {
            appendStringInfoString(sql, " AND ");
            append_filter(sql, relation, column, value);
        }
    });
    appendStringInfoString(sql, ")");
}

// The filter with columns named as in payloads, which no renaming changes.
Jsonb* require_matching(const Log& log, Jsonb* filter) {
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for_each_filter_member(filter, [&](const char* name, JsonbValue* value) {
        const LogColumn* column = find_column(log, name);
        if (column == nullptr) {
            refuse_filter(psprintf("\"%s\" is no column of \"%s\" that payloads contain.", name,
                                   get_rel_name(log.relation)),
                          "Name columns that an application writes.");
        }
        if (is_personal_member(log, member_text(*column))) {
            refuse_filter(
                psprintf("\"%s\" is a personal field, and its values are encrypted.", name),
                "Name the column that identifies the data subject.");
        }
        JsonbValue key = {};
        key.type = jbvString;
        key.val.string.val = const_cast<char*>(member_text(*column));
        key.val.string.len = static_cast<int>(strlen(key.val.string.val));
        pushJsonbValue(&state, WJB_KEY, &key);
        pushJsonbValue(&state, WJB_VALUE, value);
    });
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

// A value that its column's type does not read is an error now, and not when something is archived.
void require_sound_condition(const Log& log, Jsonb* matching) {
    StringInfoData sql;
    initStringInfo(&sql);
    appendStringInfo(&sql, "SELECT FROM %s e WHERE ", qualified_name(log.relation));
    append_hold(&sql, log, log.relation, matching, RowsFrom::table);
    SPI_freeplan(SPI_prepare(sql.data, 0, nullptr));
}

std::int64_t place_hold(const Log& log, const char* reason, Jsonb* matching) {
    const char* actor = current_actor();
    change_catalog(
        "INSERT INTO auditchain.legal_hold (hold_id, log_id, reason, matching, held_by) "
        "VALUES (nextval('auditchain.hold_id_seq'), $1, $2, $3, $4) RETURNING hold_id",
        {uuid_arg(log.id),
         text_arg(reason),
         {JSONBOID, JsonbPGetDatum(matching)},
         text_arg(actor)});
    bool null;
    std::int64_t hold =
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
    Jsonb* details =
        jsonb_of("SELECT $1 AS hold, $2 AS matching",
                 {{INT8OID, Int64GetDatum(hold)}, {JSONBOID, JsonbPGetDatum(matching)}});
    record_operation(log.relation, log.id, {"hold_placed", actor, reason, details});
    return hold;
}

// The log of a hold that is not lifted.
Oid require_held_log(std::int64_t hold) {
    query_catalog(
        "SELECT relation::oid, lifted_at FROM auditchain.legal_hold JOIN auditchain.log "
        "USING (log_id) WHERE hold_id = $1 AND relation IS NOT NULL",
        {{INT8OID, Int64GetDatum(hold)}});
    bool in_force = true;
    bool null;
    if (SPI_processed > 0) {
        SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 2, &in_force);
    }
    if (SPI_processed == 0 || !in_force) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                SPI_processed == 0
                    ? errmsg("there is no hold %lld", static_cast<long long>(hold))
                    : errmsg("hold %lld is lifted already", static_cast<long long>(hold)),
                errdetail("Only a hold that is in force can be lifted."),
                errhint("The view auditchain.holds lists them."));
    }
    return DatumGetObjectId(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

}  // namespace

List* hold_conditions(const Log& log, Oid relation, RowsFrom rows_from) {
    query_catalog(
        "SELECT hold_id, matching FROM auditchain.legal_hold WHERE log_id = $1 AND lifted_at IS "
        "NULL ORDER BY hold_id",
        {uuid_arg(log.id)});
    List* conditions = NIL;
    SPITupleTable* rows = SPI_tuptable;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        StringInfoData sql;
        initStringInfo(&sql);
        Jsonb* matching = DatumGetJsonbP(SPI_getbinval(rows->vals[i], rows->tupdesc, 2, &null));
        append_hold(&sql, log, relation, matching, rows_from);
        auto* condition = static_cast<HoldCondition*>(palloc(sizeof(HoldCondition)));
        *condition = {DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null)),
                      sql.data, matching};
        conditions = lappend(conditions, condition);
    }
    return conditions;
}

const char* held_condition(const Log& log, Oid relation, RowsFrom rows_from) {
    List* conditions = hold_conditions(log, relation, rows_from);
    if (conditions == NIL) {
        return nullptr;
    }
    StringInfoData sql;
    initStringInfo(&sql);
    ListCell* cell;
    foreach (cell, conditions) {
        appendStringInfo(&sql, "%s%s", sql.len == 0 ? "(" : " OR ",
                         static_cast<const HoldCondition*>(lfirst(cell))->sql);
    }
    appendStringInfoChar(&sql, ')');
    return sql.data;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// hold(log regclass, reason text, matching jsonb) → bigint
AUDITCHAIN_FUNCTION(auditchain_hold) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(2)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log and matching must not be NULL"),
                errhint("The filter '{}' matches all entries."));
    }
    const char* reason =
        require_reason(PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1)), "a hold",
                       "SELECT auditchain.hold('log', 'why')");
    const Log& log = require_retained_log(PG_GETARG_OID(0));
    Jsonb* matching = require_matching(log, PG_GETARG_JSONB_P(2));
    SPI_connect();
    require_sound_condition(log, matching);
    std::int64_t hold = place_hold(log, reason, matching);
    SPI_finish();
    PG_RETURN_INT64(hold);
}

// lift_hold(hold bigint, reason text)
AUDITCHAIN_FUNCTION(auditchain_lift_hold) {
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("hold must not be NULL"),
                errhint("The view auditchain.holds lists them."));
    }
    std::int64_t hold = PG_GETARG_INT64(0);
    const char* reason =
        require_reason(PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1)),
                       "to lift a hold", "SELECT auditchain.lift_hold(hold, 'why')");
    SPI_connect();
    const Log& log = require_retained_log(require_held_log(hold));
    require_held_log(hold);  // now that nobody else can lift it
    const char* actor = current_actor();
    change_catalog(
        "UPDATE auditchain.legal_hold SET lifted_at = clock_timestamp(), lifted_by = $2, "
        "lift_reason = $3 WHERE hold_id = $1",
        {{INT8OID, Int64GetDatum(hold)}, text_arg(actor), text_arg(reason)});
    record_operation(log.relation, log.id,
                     {"hold_lifted", actor, reason,
                      jsonb_of("SELECT $1 AS hold", {{INT8OID, Int64GetDatum(hold)}})});
    SPI_finish();
    PG_RETURN_VOID();
}
