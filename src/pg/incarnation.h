// Incarnations: the lives of a log between restores.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

struct Incarnation {
    std::int32_t number;  // 0: the log has none yet
    const char* origin;   // names the log in its checkpoints and keys; palloc'd; "": none
};

// The newest incarnation on record. SPI is connected.
Incarnation newest_incarnation(const Log& log);

// The one that this server leads: another than the newest on record begins where the log finds
// itself in another cluster, database, table or timeline, as after a restore or a promotion. Its
// tree goes on, under a name of its own: two copies of a log never sign in one name. SPI is
// connected; the caller holds the log's lock of sealers.
Incarnation current_incarnation(const Log& log, std::int64_t tree_size);

// The cluster, database, table and timeline that a log is in: what a restored or promoted copy has
// otherwise. A copy of the data directory that was put back without a new timeline has it alike: a
// witness sees that. palloc'd.
const char* identity_of(const Log& log);

// A uuid as text in lower case, palloc'd.
char* uuid_text(const pg_uuid_t& id);

}  // namespace auditchain::pg
