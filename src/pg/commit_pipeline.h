// The end of a transaction that extended chains: docs/concurrency.md.
#pragma once

namespace auditchain::pg {

// Whatever leaves the database must be durable: flushes the WAL up to here, so every entry that the
// caller can see. Does nothing on a standby, which sees only what was replayed.
void flush_visible_entries();

void init_commit_pipeline();

}  // namespace auditchain::pg
