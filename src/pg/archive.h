// Archives: entries that leave their log and stay provable.
#pragma once

#include "pg/log.h"

extern "C" {
#include <datatype/timestamp.h>
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

// Moves the sealed entries of a log that are older than `before`, and that no hold matches, to the
// destination of its policy, and returns the number of the archive; 0: there were none. The newest
// sealed entry of each chain stays. All of it is one transaction. The caller has made sure of the
// user's rights and locked the log's retention (retention.h); SPI is not needed.
std::int64_t archive_entries(const Log& log, TimestampTz before);

// expire.cpp: deletes archives of the log all of whose entries are older than its policy keeps
// them, unless a hold matches one, and returns how many entries they had. Rights and lock as above.
std::int64_t expire_archives(const Log& log);

// How many entries of a leaf are in an archive.
struct ArchivedLeaf {
    Oid leaf;
    std::int64_t entries;
};

// archive_removal.cpp: takes archived entries out of the log. Partitions of time that have no
// others are dropped, which locks the log against everybody; else entries are deleted, which locks
// nobody out. Returns how many partitions were dropped. SPI is connected; the active snapshot sees
// the archive. The list is of ArchivedLeaf.
int remove_archived_entries(const Log& log, std::int64_t archive, List* leaves,
                            const LogColumn& time, TimestampTz before);

}  // namespace auditchain::pg
