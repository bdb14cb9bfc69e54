// Which columns of a log are the fields of its exported events.
#pragma once

#include "pg/log.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

enum MappedField {
    kFieldId,
    kFieldTimestamp,
    kFieldEventType,
    kFieldActor,
    kFieldDetails,
    kFieldTeamId,
    kMappedFields
};

// Names of the fields, in set_mapping's argument as in events.
inline constexpr const char* kMappedFieldNames[kMappedFields] = {"id",    "timestamp", "eventType",
                                                                 "actor", "details",   "teamId"};

struct Mapping {
    const LogColumn* columns[kMappedFields];  // nullptr: nothing is mapped to the field
    List* key;          // LogColumns of a primary key of several: the id; NIL where a column is
    const char* scope;  // set_mapping's text for the SOC 2 document, or nullptr
};

// What set_mapping set for the log, and columns with usual names for the rest. Columns go by the
// names they have in payloads, so that renaming one changes no export. palloc'd.
Mapping resolve_mapping(const Log& log);

// Whether the column is mapped to one of the fields.
bool is_mapped(const Mapping& mapping, const LogColumn* column);

}  // namespace auditchain::pg
