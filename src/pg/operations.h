// The log of operations: what is done to the entries of logs is itself an entry of a log.
#pragma once

#include "pg/catalog.h"

extern "C" {
#include <utils/jsonb.h>
}

namespace auditchain::pg {

struct Operation {
    const char* event;
    const char* actor;   // current_actor(), as the caller was
    const char* reason;  // nullptr: none was given
    Jsonb* details;
};

// auditchain.operations; InvalidOid as long as there was no operation.
Oid operations_log();

// Records an operation on a log, making the log of operations if it is the first. Runs as the
// owner of the catalog. SPI is connected.
void record_operation(Oid log, const pg_uuid_t& log_id, const Operation& operation);

// Whether an entry of the log of operations is being written by record_operation() and not by
// anybody else.
bool is_recording_operation();

// A JSON object, made of the results of a query: NULLs are null. For details. SPI is connected.
Jsonb* jsonb_of(const char* sql, std::initializer_list<Arg> args);

// Errors unless the text, palloc'd as a C string, says something. `what` is "a hold", say.
const char* require_reason(const char* reason, const char* what, const char* hint);

}  // namespace auditchain::pg
