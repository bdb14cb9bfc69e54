// The end of a transaction that extended chains: docs/concurrency.md.
#pragma once

namespace auditchain::pg {

// Whatever leaves the database must be durable: flushes the WAL up to here, so every entry that the
// caller can see. Does nothing on a standby, which sees only what was replayed.
void flush_visible_entries();

// Has this transaction commit as others do: visible only once it is durable.
void forbid_pipelined_commit();

void init_commit_pipeline();

}  // namespace auditchain::pg
