// The guard: the triggers that chain inserts and refuse everything else.
#pragma once

#include "pg/log.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

// BEFORE ROW triggers fire in the order of their names; this one must be the last.
inline constexpr const char* kChainTrigger = "zz_auditchain_chain";

// Every table of the log's tree: root, partitioned partitions and leaves. Locks each with `lock`.
List* log_tables(Oid root, LOCKMODE lock);

// Creates the guard's triggers that a table lacks, ENABLE ALWAYS. Row triggers of a partitioned
// table pass to its partitions by themselves, statement triggers do not: call this for each table,
// root first. Runs as the current user, who must own the table. SPI must be connected.
void install_guard(Oid table);
void remove_guard(Oid table);

// The same for a cold table (cold_table.h), and what is wrong with it: palloc'd, nullptr for
// nothing.
void install_archive_guard(Oid table);
char* archive_guard_state(Oid table);

// guard_archives.cpp: whether a table is a cold table.
bool is_archive_table(Oid table);

// What is wrong with the guard of a log, palloc'd; nullptr when it is complete.
char* guard_state(const Log& log);

// Name of an enabled BEFORE ROW INSERT trigger that would run after the chain trigger, or nullptr.
const char* later_insert_trigger(Relation table);
void require_chain_trigger_last(Relation table);

// guard_ddl.cpp: name of one of auditchain's event triggers that does not always fire, or nullptr.
const char* idle_event_trigger();

// chain_head.cpp: whether a leaf has its index on (chain_id, chain_position).
bool has_position_index(Relation leaf);

}  // namespace auditchain::pg
