// Columns of a table by name: those that an argument lists, and its primary key.
#pragma once

#include "pg/backend.h"

extern "C" {
#include <nodes/pg_list.h>
#include <utils/array.h>
}

namespace auditchain::pg {

// The names in a name[] argument as a list of palloc'd C strings; errors unless each is a column of
// the table that payloads contain, and none is NULL or listed twice.
List* require_columns(Oid table, ArrayType* names, const char* argument);

// Names of the primary key's columns, in its order; NIL when there is none.
List* primary_key_columns(Oid table);

// "a, b", quoted where necessary; nullptr for NIL.
const char* column_list(List* names);

}  // namespace auditchain::pg
