// A log as the backend knows it: its entry in the catalog, its columns and their payload members.
#pragma once

#include "pg/backend.h"
#include "pg/catalog.h"

extern "C" {
#include <utils/jsonb.h>
#include <utils/rel.h>
}

namespace auditchain::pg {

// The columns that auditchain adds to a log, with receipts or without.
std::span<const char* const> own_columns(bool receipts);
bool is_own_column(bool receipts, const char* name);

struct LogColumn {
    NameData name;            // of the column now, as in every partition
    std::string_view member;  // frozen name in the payload, UTF-8
    const char* absent;       // canonical JSON for which the member is left out, or nullptr
};

struct Log {
    Oid relation;  // the table, or the root of its partitions
    pg_uuid_t id;
    const char* id_text;  // as receipts name it
    int lanes;
    bool receipts;
    bool released;
    Jsonb* mapping;                              // set_mapping's object, {} where never set
    std::span<LogColumn> columns;                // by UTF-16 order of their members
    std::span<const std::string_view> chain_by;  // members
};

// Reads the log that a table or partition belongs to; nullptr when it belongs to none. The result,
// palloc'd in the current context, is a copy of its own: no invalidation touches it.
const Log* read_log(Oid relation);

// The same, with an error for what is no log.
const Log& require_log(Oid relation);

// The topmost table that a relation is a partition of; itself when it is none.
Oid partition_root(Oid relation);

// Leaf tables of a log: its partitions at any depth, or itself. Locks each with AccessShareLock.
List* log_leaves(Oid relation);

// "schema.table", quoted where necessary; palloc'd.
char* qualified_name(Oid relation);

// What FROM has to name to read a table and its partitions, and none that inherits from it; quoted,
// palloc'd.
char* from_item(Oid table);

// The column among `columns` with this current name, or nullptr.
const LogColumn* find_column(const Log& log, const char* name);

Oid relation_owner(Oid relation);

// The member of payloads that a column is, in the server's encoding; may be palloc'd.
const char* member_text(const LogColumn& column);

// Errors unless the current user owns the relation.
void require_owner(Oid relation);

}  // namespace auditchain::pg
