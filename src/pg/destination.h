// Where the archives of a log are: parsed from the text of its policy.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

enum class DestinationKind {
    kSchema,     // "schema:NAME": a cold table there, named like the log
    kDirectory,  // "file:SUBDIRECTORY": bundles there, below auditchain.archive_directory
};

struct Destination {
    DestinationKind kind;
    const char* name;  // of the schema or directory
};

// Reads a destination, palloc'd; errors unless it is one that archives of the log can be in.
Destination require_destination(const char* text, Oid log);

}  // namespace auditchain::pg
