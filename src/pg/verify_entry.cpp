// verify_entry(): one entry, its place and its link to the entry before it, in O(log n).

#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/receipt.h"
#include "pg/verify.h"
#include "pg/violation_text.h"

extern "C" {
#include <utils/guc.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

struct EntryCheck {
    EntryScan* scan;
    ReceiptCheck receipts;
    std::int32_t chain_id;
    std::int64_t position;
    std::int64_t rows;  // found at the position
    std::int64_t violations;
    char* first;
};

// The walk sees the entry and its predecessor only: a gap that it reports before them means that
// the predecessor itself is missing, if it reaches there at all.
bool concerns(const EntryCheck& check, const Finding& finding) {
    return finding.has_row ? finding.first == check.position : finding.last == check.position - 1;
}

void take_findings(EntryCheck* check, const Finding* findings, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        Finding finding = findings[i];
        if (!concerns(*check, finding)) {
            continue;
        }
        if (!finding.has_row) {
            finding.kind = Violation::entry_missing;
            finding.first = finding.last;
        }
        finding.chain = check->chain_id;
        check->violations++;
        if (check->first == nullptr) {
            check->first = tell_violation(describe_finding(*check->scan, finding));
        }
    }
}

void walk_entries(EntryCheck* check, const ChainName& chain) {
    ChainWalk walk(sha256());
    walk.begin_chain();
    ScannedEntry scanned = {};
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    while (next_entry(check->scan, &scanned)) {
        check->rows += scanned.entry.position == check->position;
        scanned.entry.key_matches =
            check->scan->plan->key.empty() || scanned_key(check->scan) == chain.key;
        scanned.entry.receipt =
            check_receipt(&check->receipts,
                          {chain.key, chain.lane, scanned.entry.position, scanned.entry.checksum},
                          scanned.has_receipt ? &scanned.receipt : nullptr);
        scanned.entry.payload = scanned_payload(check->scan);
        barrier([&] { count = walk.next(scanned.entry, findings); });
        take_findings(check, findings, count);
    }
    barrier([&] { count = walk.end_chain(findings); });
    take_findings(check, findings, count);
}

const char* summary(const EntryCheck& check, bool intact) {
    const char* unchecked = warn_unchecked(check.receipts);
    if (!intact) {
        return psprintf("Chain integrity violated: %s%s%s", check.first,
                        unchecked[0] == '\0' ? "" : ".", unchecked);
    }
    bool receipt = check.receipts.log->receipts && unchecked[0] == '\0';
    return psprintf("Audit event verified. It follows the one before it.%s%s",
                    receipt ? " Its receipt is valid." : "", unchecked);
}

}  // namespace

Verification verify_one_entry(const Log& log, std::int32_t chain_id, std::int64_t position) {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    int guc_level = forbid_row_security();
    EntryCheck check = {};
    check.receipts = begin_receipt_check(log);
    check.chain_id = chain_id;
    check.position = position;
    ChainName chain;
    bool known = find_log_chain(log.id, chain_id, &chain);
    if (known) {
        check.scan = open_entries(log, psprintf("e.chain_id OPERATOR(pg_catalog.=) %d "
                                                "AND e.chain_position OPERATOR(pg_catalog.>=) %lld "
                                                "AND e.chain_position OPERATOR(pg_catalog.<=) %lld",
                                                chain_id, static_cast<long long>(position - 1),
                                                static_cast<long long>(position)));
        walk_entries(&check, chain);
        close_entries(check.scan);
    }
    if (check.rows == 0) {
        check.violations = 1;
        check.first =
            psprintf("%s: chain_id %d has no entry at position %lld",
                     name(Violation::entry_missing), chain_id, static_cast<long long>(position));
    }

    Verification result = {};
    result.intact = check.violations == 0;
    result.total_events = check.rows;
    result.verified_events = result.intact ? check.rows : 0;
    result.chains = known ? 1 : 0;
    result.violations = check.violations;
    result.message = MemoryContextStrdup(caller, summary(check, result.intact));
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    return result;
}

}  // namespace auditchain::pg
