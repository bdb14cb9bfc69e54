#include "pg/table_columns.h"

#include "pg/errors.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/pg_attribute.h>
#include <catalog/pg_index.h>
#include <utils/lsyscache.h>
#include <utils/rel.h>
#include <utils/relcache.h>
#include <utils/syscache.h>
}

namespace auditchain::pg {
namespace {

[[noreturn]] void refuse_argument(const char* argument, const char* problem, const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("%s %s", argument, problem),
            errhint("%s", hint));
    pg_unreachable();
}

bool is_payload_column(Oid table, const char* name) {
    HeapTuple tuple = SearchSysCacheAttName(table, name);
    if (!HeapTupleIsValid(tuple)) {
        return false;
    }
    auto* column = reinterpret_cast<Form_pg_attribute>(GETSTRUCT(tuple));
    bool payload = column->attnum > 0 && column->attgenerated == '\0';
    ReleaseSysCache(tuple);
    return payload;
}

bool contains(List* names, const char* name) {
    ListCell* cell;
    foreach (cell, names) {
        if (strcmp(static_cast<const char*>(lfirst(cell)), name) == 0) {
            return true;
        }
    }
    return false;
}

}  // namespace

List* require_columns(Oid table, ArrayType* names, const char* argument) {
    if (ARR_NDIM(names) > 1) {
        refuse_argument(argument, "has more than one dimension", "List names of columns.");
    }
    Datum* values;
    bool* nulls;
    int count;
    deconstruct_array(names, NAMEOID, NAMEDATALEN, false, TYPALIGN_CHAR, &values, &nulls, &count);
    List* columns = NIL;
    for (int i = 0; i < count; i++) {
        if (nulls[i]) {
            refuse_argument(argument, "contains NULL", "List names of columns.");
        }
        const char* name = NameStr(*DatumGetName(values[i]));
        if (!is_payload_column(table, name)) {
            refuse_argument(
                argument,
                psprintf("names \"%s\", which is no column of \"%s\" that an application writes",
                         name, get_rel_name(table)),
                "Generated and system columns cannot be used.");
        }
        if (contains(columns, name)) {
            refuse_argument(argument, psprintf("names column \"%s\" twice", name),
                            "List each column once.");
        }
        columns = lappend(columns, pstrdup(name));
    }
    return columns;
}

List* primary_key_columns(Oid table) {
    Relation relation = table_open(table, AccessShareLock);
    RelationGetIndexList(relation);
    Oid primary_key = relation->rd_pkindex;
    table_close(relation, NoLock);
    HeapTuple tuple = SearchSysCache1(INDEXRELID, ObjectIdGetDatum(primary_key));
    if (!HeapTupleIsValid(tuple)) {
        return NIL;
    }
    auto* index = reinterpret_cast<Form_pg_index>(GETSTRUCT(tuple));
    List* names = NIL;
    for (int i = 0; i < index->indnkeyatts; i++) {
        names = lappend(names, get_attname(table, index->indkey.values[i], false));
    }
    ReleaseSysCache(tuple);
    return names;
}

const char* column_list(List* names) {
    if (names == NIL) {
        return nullptr;
    }
    StringInfoData list;
    initStringInfo(&list);
    ListCell* cell;
    foreach (cell, names) {
        appendStringInfo(&list, "%s%s", list.len > 0 ? ", " : "",
                         quote_identifier(static_cast<const char*>(lfirst(cell))));
    }
    return list.data;
}

}  // namespace auditchain::pg
