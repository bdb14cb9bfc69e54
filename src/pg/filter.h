// Filters: JSON objects of the values that columns must have, as SQL.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <lib/stringinfo.h>
#include <utils/jsonb.h>
}

namespace auditchain::pg {

[[noreturn]] void refuse_filter(const char* detail, const char* hint);

// Appends the condition that the column of the relation, whose row is `e`, equals the value. Errors
// unless the relation has the column, and its type an equality.
void append_filter(StringInfo sql, Oid relation, const char* column, JsonbValue* value);

// Begins to read a filter; errors unless it is an object.
JsonbIterator* begin_filter(Jsonb* filter);

// Calls take(const char* name, JsonbValue* value) for each member.
template <typename Take>
void for_each_filter_member(Jsonb* filter, Take take) {
    JsonbIterator* iterator = begin_filter(filter);
    JsonbValue key;
    JsonbValue value;
    while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY) {
        JsonbIteratorNext(&iterator, &value, true);
        take(pnstrdup(key.val.string.val, key.val.string.len), &value);
    }
}

}  // namespace auditchain::pg
