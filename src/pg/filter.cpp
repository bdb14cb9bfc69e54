#include "pg/filter.h"

#include "pg/errors.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_operator.h>
#include <catalog/pg_type.h>
#include <utils/lsyscache.h>
#include <utils/syscache.h>
#include <utils/typcache.h>
}

namespace auditchain::pg {

[[noreturn]] void refuse_filter(const char* detail, const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("invalid filter"),
            errdetail("%s", detail), errhint("%s", hint));
    pg_unreachable();
}

namespace {

// The equality that indexes of the type have, qualified: search_path has no say.
const char* equality_of(Oid type, const char* column) {
    TypeCacheEntry* entry = lookup_type_cache(type, TYPECACHE_EQ_OPR);
    HeapTuple tuple = SearchSysCache1(OPEROID, ObjectIdGetDatum(entry->eq_opr));
    if (!HeapTupleIsValid(tuple)) {
        refuse_filter(
            psprintf("\"%s\" is of type %s, which has no equality.", column, format_type_be(type)),
            "Filter by another column.");
    }
    auto* op = reinterpret_cast<Form_pg_operator>(GETSTRUCT(tuple));
    const char* text =
        psprintf("OPERATOR(%s.%s)", quote_identifier(get_namespace_name(op->oprnamespace)),
                 NameStr(op->oprname));
    ReleaseSysCache(tuple);
    return text;
}

// The text that a column's type reads the value from.
const char* filter_text(const char* column, Oid type, JsonbValue* value) {
    if (type == JSONBOID) {
        Jsonb* document = JsonbValueToJsonb(value);
        return JsonbToCString(nullptr, &document->root, VARSIZE(document));
    }
    switch (value->type) {
        case jbvString:
            return pnstrdup(value->val.string.val, value->val.string.len);
        case jbvNumeric:
            return DatumGetCString(
                DirectFunctionCall1(numeric_out, NumericGetDatum(value->val.numeric)));
        case jbvBool:
            return value->val.boolean ? "true" : "false";
        default:
            refuse_filter(psprintf("\"%s\" is to equal an array or object.", column),
                          "Give a string, a number, true, false or null.");
    }
}

}  // namespace

void append_filter(StringInfo sql, Oid relation, const char* column, JsonbValue* value) {
    AttrNumber attnum = get_attnum(relation, column);
    if (attnum <= 0) {
        refuse_filter(psprintf("\"%s\" has no column \"%s\".", get_rel_name(relation), column),
                      "The members of a filter are columns of the log.");
    }
    appendStringInfo(sql, "e.%s ", quote_identifier(column));
    if (value->type == jbvNull) {
        appendStringInfoString(sql, "IS NULL");
        return;
    }
    Oid type = getBaseType(get_atttype(relation, attnum));
    appendStringInfo(sql, "%s %s", equality_of(type, column),
                     quote_literal_cstr(filter_text(column, type, value)));
}

JsonbIterator* begin_filter(Jsonb* filter) {
    if (!JB_ROOT_IS_OBJECT(filter)) {
        refuse_filter("It is not a JSON object.",
                      R"(For example: '{"actor": "alice", "amount": 5}')");
    }
    JsonbIterator* iterator = JsonbIteratorInit(&filter->root);
    JsonbValue begin;
    JsonbIteratorNext(&iterator, &begin, true);
    return iterator;
}

}  // namespace auditchain::pg
