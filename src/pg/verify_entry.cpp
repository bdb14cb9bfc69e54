// verify_entry(): one entry, its place and its link to the entry before it, in O(log n).

#include "pg/verify_entry.h"

#include "pg/archived_range.h"
#include "pg/barrier.h"
#include "pg/entry.h"
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
    ReceiptCheck* receipts;
    std::int32_t chain_id;
    std::int64_t position;
    ArchivedRanges archived;
    EntryVerdict verdict;
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
        if (check->verdict.violations++ == 0) {
            check->verdict.first = tell_violation(describe_finding(*check->scan, finding));
        }
    }
}

// What is archived up to a position of the two.
void walk_archived(EntryCheck* check, ChainWalk* walk, std::int64_t position) {
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    while (const ArchivedRange* range = next_archived_range(&check->archived, position)) {
        if (range->entries.last >= check->position) {
            check->verdict.archive = range->archive;
        }
        barrier([&] { count = walk->next(range->entries, findings); });
        take_findings(check, findings, count);
    }
}

void walk_entries(EntryCheck* check, const ChainName& chain) {
    ChainWalk walk(sha256());
    walk.begin_chain();
    begin_archived_chain(&check->archived, check->chain_id, check->position - 1);
    ScannedEntry scanned = {};
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    while (next_entry(check->scan, &scanned)) {
        check->verdict.rows += scanned.entry.position == check->position;
        walk_archived(check, &walk, scanned.entry.position);
        scanned.entry.key_matches =
            check->scan->plan->key.empty() || scanned_key(check->scan) == chain.key;
        scanned.entry.receipt =
            check_receipt(check->receipts,
                          {chain.key, chain.lane, scanned.entry.position, scanned.entry.checksum},
                          scanned.has_receipt ? &scanned.receipt : nullptr);
        scanned.entry.payload = scanned_payload(check->scan);
        barrier([&] { count = walk.next(scanned.entry, findings); });
        take_findings(check, findings, count);
    }
    walk_archived(check, &walk, check->position);
    barrier([&] { count = walk.end_chain(findings); });
    take_findings(check, findings, count);
}

const char* summary(const EntryVerdict& verdict, const ReceiptCheck& receipts) {
    const char* unchecked = warn_unchecked(receipts);
    if (verdict.violations > 0) {
        return psprintf("Chain integrity violated: %s%s%s", verdict.first,
                        unchecked[0] == '\0' ? "" : ".", unchecked);
    }
    if (verdict.archive != 0) {
        return psprintf(
            "Audit event is in archive %lld. SELECT auditchain.verify_archive(%lld) "
            "verifies it.",
            static_cast<long long>(verdict.archive), static_cast<long long>(verdict.archive));
    }
    bool receipt = receipts.log->receipts && unchecked[0] == '\0';
    return psprintf("Audit event verified. It follows the one before it.%s%s",
                    receipt ? " Its receipt is valid." : "", unchecked);
}

}  // namespace

EntryVerdict check_entry(const Log& log, std::int32_t chain_id, std::int64_t position,
                         ReceiptCheck* receipts) {
    EntryCheck check = {};
    check.receipts = receipts;
    check.archived = make_archived_ranges(log);
    check.chain_id = chain_id;
    check.position = position;
    ChainName chain;
    if (find_log_chain(log.id, chain_id, &chain)) {
        check.verdict.chain_known = true;
        check.scan = open_entries(log, psprintf("e.chain_id OPERATOR(pg_catalog.=) %d "
                                                "AND e.chain_position OPERATOR(pg_catalog.>=) %lld "
                                                "AND e.chain_position OPERATOR(pg_catalog.<=) %lld",
                                                chain_id, static_cast<long long>(position - 1),
                                                static_cast<long long>(position)));
        walk_entries(&check, chain);
        close_entries(check.scan);
    }
    if (check.verdict.rows == 0 && check.verdict.archive == 0) {
        check.verdict.violations = 1;
        check.verdict.first =
            psprintf("%s: chain_id %d has no entry at position %lld",
                     name(Violation::entry_missing), chain_id, static_cast<long long>(position));
    }
    return check.verdict;
}

Verification verify_one_entry(const Log& log, std::int32_t chain_id, std::int64_t position) {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    int guc_level = forbid_row_security();
    ReceiptCheck receipts = begin_receipt_check(log);
    EntryVerdict verdict = check_entry(log, chain_id, position, &receipts);

    Verification result = {};
    result.intact = verdict.violations == 0;
    result.total_events = verdict.rows + (verdict.archive != 0);
    result.verified_events = result.intact ? verdict.rows : 0;
    result.chains = verdict.chain_known ? 1 : 0;
    result.violations = verdict.violations;
    result.message = MemoryContextStrdup(caller, summary(verdict, receipts));
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    return result;
}

}  // namespace auditchain::pg
