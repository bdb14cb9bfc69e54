// Checkpoints: sealing a log's new entries.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// Seals what is not sealed yet: extends the log's Merkle tree by all entries that are committed now
// and puts its head on record, signed if the server has a signing key. Without new entries the
// newest checkpoint is renewed. Nobody sees any of it before it is durable. The caller may have
// checked rights; SPI is not needed. Errors where the log's chains have gaps or broken links behind
// what is sealed, and where nothing can be written: on a standby, in a read-only transaction,
// during pg_upgrade.
void seal_log(const Log& log);

}  // namespace auditchain::pg
