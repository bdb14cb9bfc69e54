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

// Work on the entries of a log is done with the rights of the log's owner, whoever asks for it:
// types, indexes and operators of the log and its archives may be the owner's code. Connects SPI,
// forbids row security, and fixes what the text of values and names depends on. An error needs no
// end_owner_work().
struct OwnerWork {
    Oid user;
    int security_context;
    int guc_level;
};
OwnerWork begin_owner_work(const Log& log);
void end_owner_work(const OwnerWork& work);

// The column that the ages of entries go by; errors where none is mapped.
const LogColumn* require_time_column(const Log& log);

}  // namespace auditchain::pg
