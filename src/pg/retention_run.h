// Applying retention policies: what is due is archived, and what is past its time expires.
#pragma once

#include "pg/log.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

struct RetainedLog {
    Oid relation;
    const char* name;
};

// Logs under protection that have a policy and that the current user owns, as RetainedLogs
// palloc'd in `context`.
List* find_retained_logs(MemoryContext context);

struct AppliedPolicy {
    std::int64_t archived;  // entries
    std::int64_t expired;   // entries
};

// Archives the entries of a log that are older than its policy has them in the log, whole days
// (UTC) and one archive a month; then deletes archives that are past their time. The current user
// owns the log. SPI is not needed.
AppliedPolicy apply_policy(Oid relation);

}  // namespace auditchain::pg
