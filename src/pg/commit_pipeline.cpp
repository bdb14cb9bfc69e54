// A chain's lock need only outlive the commit record's place in the WAL, not its flush. Whoever
// extends the chain next commits further on in the WAL, and the WAL is flushed, shipped and
// replayed from front to back; so a crash can cut off a suffix of the chain, and nothing else.
//
// So a transaction that holds chains commits asynchronously, frees them, and then waits for its own
// commit record to be flushed and replicated: COMMIT returns when it is as durable as the user
// asked.

#include "pg/commit_pipeline.h"

#include "pg/chain.h"
#include "pg/settings.h"

extern "C" {
#include <access/xlog.h>
#include <access/xlog_internal.h>
#include <replication/syncrep.h>
}

namespace auditchain::pg {
namespace {

// What synchronous_commit was before this commit turned it off; -1: it did not.
int requested_synchronous_commit = -1;

bool forbidden = false;  // for this transaction

void begin_pipelined_commit() {
    // Under remote_apply the commit record itself asks standbys to report at once.
    if (pipelined_commit && !forbidden && synchronous_commit > SYNCHRONOUS_COMMIT_OFF &&
        synchronous_commit < SYNCHRONOUS_COMMIT_REMOTE_APPLY) {
        requested_synchronous_commit = synchronous_commit;
        synchronous_commit = SYNCHRONOUS_COMMIT_OFF;
    }
}

// Returns whether a pipelined commit was under way.
bool restore_synchronous_commit() {
    if (requested_synchronous_commit < 0) {
        return false;
    }
    synchronous_commit = requested_synchronous_commit;
    requested_synchronous_commit = -1;
    return true;
}

void wait_until_durable() {
    XLogFlush(XactLastCommitEnd);
    // Returns at once unless synchronous_commit and synchronous_standby_names ask for more.
    SyncRepWaitForLSN(XactLastCommitEnd, true);
}

void end_transaction(XactEvent event, void*) {
    switch (event) {
        case XACT_EVENT_PRE_COMMIT:
            if (holds_chains()) {
                settle_held_chains();
                begin_pipelined_commit();
            }
            break;
        case XACT_EVENT_COMMIT:
            // The transaction is visible by now: ProcArrayEndTransaction comes before this.
            publish_held_chains();
            forget_held_chains();
            forbidden = false;
            if (restore_synchronous_commit()) {
                wait_until_durable();
            }
            break;
        case XACT_EVENT_PRE_PREPARE:
            hand_over_held_chains();
            break;
        case XACT_EVENT_PREPARE:
            forget_held_chains();
            forbidden = false;
            break;
        case XACT_EVENT_ABORT:
            // PostgreSQL itself would free session-level locks a little later, and wake nobody.
            restore_synchronous_commit();
            free_held_chains();
            forget_held_chains();
            forbidden = false;
            break;
        default:
            break;
    }
}

}  // namespace

void flush_visible_entries() {
    if (RecoveryInProgress()) {
        return;
    }
    XLogRecPtr end = GetXLogInsertRecPtr();
    // At the start of a page that is behind the page's header, which does not exist yet.
    std::uint64_t offset = end % XLOG_BLCKSZ;
    std::uint64_t header = XLogSegmentOffset(end, wal_segment_size) < XLOG_BLCKSZ
                               ? SizeOfXLogLongPHD
                               : SizeOfXLogShortPHD;
    XLogFlush(offset == header ? end - offset : end);
}

void forbid_pipelined_commit() {
    forbidden = true;
}

void init_commit_pipeline() {
    RegisterXactCallback(end_transaction, nullptr);
}

}  // namespace auditchain::pg
