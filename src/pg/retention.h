// Retention policies, and what operations on the entries of a log have in common.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// Operations of a log go one after another, to the end of their transactions: a hold is placed
// before an archive or after it.
void lock_retention(const Log& log);

// A protected log of the current user's (or a superuser's) that is not the log of operations,
// locked as above. Errors for anything else, and where nothing can be written.
const Log& require_retained_log(Oid relation);

// The column that the ages of entries go by; errors where none is mapped.
const LogColumn* require_time_column(const Log& log);

}  // namespace auditchain::pg
