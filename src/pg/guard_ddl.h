// Parts of the guard's event triggers (guard_ddl.cpp), which cover DDL. They run as whoever issues
// the command. SPI must be connected wherever a comment does not say otherwise.
#pragma once

#include "pg/log.h"

extern "C" {
#include <commands/event_trigger.h>
#include <nodes/parsenodes.h>
}

namespace auditchain::pg {

struct GuardedLog {
    Oid relation;
    pg_uuid_t id;
    bool released;
    bool receipts;
    bool recorded;  // by the table's own column numbers; not so in a restore under way
};

// What every event trigger begins with: errors when something else called the function. Returns
// nullptr where there is nothing to guard, as most DDL of a database concerns no log. No SPI.
const EventTriggerData* guarded_event(FunctionCallInfo fcinfo);

// Finds the log that a table or partition belongs to, reading less than read_log() and never
// failing on what a command just did to the table.
bool find_guarded_log(Oid relation, GuardedLog* log);
bool is_protected(Oid relation);

// Refuses the command. The default hint is how to end protection. Needs no SPI.
[[noreturn]] void refuse_ddl(const char* command, Oid log, const char* detail,
                             const char* hint = nullptr);

// guard_columns.cpp. Brings the record of restored logs to the numbers that their columns have now.
void adopt_restored_logs();

// Records columns that were renamed or added.
void sync_columns(const char* command, const GuardedLog& log);
void require_own_columns(const char* command, const GuardedLog& log);

// Name of a column just added that writes a value of its own into old entries, or nullptr.
const char* new_column_with_default(const GuardedLog& log);

// guard_partitions.cpp. Brings a partition that was created or attached, with its own partitions,
// under the guard.
void guard_new_partition(const char* command, Oid log, Oid partition);
void refuse_inheritance(const char* command, Oid relation);

// guard_archives.cpp. Refuses to drop a cold table, or a column of one, as long as there are
// archives in it; to write it anew; to rename its columns.
void check_dropped_archive(const char* command, Oid table, const char* name, const char* column);
void check_rewritten_archive(const char* command, Oid table);
void check_renamed_archive(const char* command, Oid table, Node* parsetree);

// guard_types.cpp. Refuses ALTER COLUMN TYPE where the values would be written otherwise.
void require_same_bytes(const char* command, Oid log, Oid table, const AlterTableCmd* alteration);

// Refuses a change to a type that is part of a payload; InvalidOid is none.
void refuse_payload_type(const char* command, Oid type);
// The type whose labels or attributes a command renamed, InvalidOid when it did not. No SPI.
Oid renamed_type(Node* parsetree);

}  // namespace auditchain::pg
