#include "pg/verify_archive.h"

#include "core/chain_walk.h"
#include "pg/archive_record.h"
#include "pg/barrier.h"
#include "pg/cold_table.h"
#include "pg/entry.h"
#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/verify_archive_file.h"
#include "pg/violation_text.h"

extern "C" {
#include <access/htup_details.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// The walk along one range, which what stands before it and behind it is made part of: so an entry
// that is missing at either end is found as well.
struct RangeWalk {
    const ArchivedRange* range;
    ChainWalk walk;
    EntryScan* scan;
    ReceiptCheck* receipts;
    ArchivedCheck* check;
    const ViolationReceiver* receiver;
    Finding last;  // findings with receipts side by side are one
};

void take_findings(RangeWalk* walk, const Finding* findings, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        Finding finding = findings[i];
        finding.chain = walk->range->chain_id;
        walk->check->faulty += finding.has_row;
        if (extend_run(walk->last, finding)) {
            continue;
        }
        walk->last = finding;
        walk->receiver->take(walk->receiver->state, describe_finding(*walk->scan, finding));
    }
}

void walk_neighbour(RangeWalk* walk, const ArchivedEntries& neighbour) {
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = walk->walk.next(neighbour, findings); });
    take_findings(walk, findings, count);
}

void walk_entries(RangeWalk* walk, const ChainName& chain) {
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    ScannedEntry scanned = {};
    while (next_entry(walk->scan, &scanned)) {
        walk->check->entries++;
        advance_progress(progress_slot(), 1);
        scanned.entry.key_matches =
            walk->scan->plan->key.empty() || scanned_key(walk->scan) == chain.key;
        scanned.entry.receipt = check_receipt(
            walk->receipts, {chain.key, chain.lane, scanned.entry.position, scanned.entry.checksum},
            scanned.has_receipt ? &scanned.receipt : nullptr);
        scanned.entry.payload = scanned_payload(walk->scan);
        barrier([&] { count = walk->walk.next(scanned.entry, findings); });
        take_findings(walk, findings, count);
    }
}

void check_range(const Log& cold, RangeWalk* walk) {
    const ArchivedEntries& entries = walk->range->entries;
    ChainName chain = {};
    if (!find_log_chain(cold.id, walk->range->chain_id, &chain)) {
        chain.key = pstrdup("");
    }
    walk->scan =
        open_entries(cold, psprintf("e.chain_id OPERATOR(pg_catalog.=) %d "
                                    "AND e.chain_position OPERATOR(pg_catalog.>=) %lld "
                                    "AND e.chain_position OPERATOR(pg_catalog.<=) %lld",
                                    walk->range->chain_id, static_cast<long long>(entries.first),
                                    static_cast<long long>(entries.last)));
    walk->walk.begin_chain();
    if (entries.first > 1) {
        walk_neighbour(walk, {1, entries.first - 1, {}, entries.previous});
    }
    walk_entries(walk, chain);
    walk_neighbour(walk, {entries.last + 1, entries.last + 1, entries.checksum, {}});
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = walk->walk.end_chain(findings); });
    take_findings(walk, findings, count);
    close_entries(walk->scan);
}

struct Archive {
    std::int64_t number;
    Oid log;
    Oid table;
    RecordedFile file;  // its path is nullptr where it is in a table
    bool expired;
};

Archive require_archive(std::int64_t number) {
    query_catalog_as_seen(
        "SELECT l.relation::oid, a.relation::oid, expired_at IS NOT NULL "
        "FROM auditchain.archive AS a JOIN auditchain.log AS l USING (log_id) "
        "WHERE archive_id = $1 AND l.relation IS NOT NULL",
        {{INT8OID, Int64GetDatum(number)}});
    if (SPI_processed == 0) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("there is no archive %lld", static_cast<long long>(number)),
                errdetail("No log of this database has an archive of that number."),
                errhint("The view auditchain.archives lists them."));
    }
    HeapTuple row = SPI_tuptable->vals[0];
    TupleDesc descriptor = SPI_tuptable->tupdesc;
    bool null;
    Archive archive = {};
    archive.number = number;
    archive.log = DatumGetObjectId(SPI_getbinval(row, descriptor, 1, &null));
    archive.table = DatumGetObjectId(SPI_getbinval(row, descriptor, 2, &null));
    archive.expired = DatumGetBool(SPI_getbinval(row, descriptor, 3, &null));
    archive.file = read_recorded_file(number);
    return archive;
}

struct Report {
    MemoryContext context;
    std::int64_t violations;
    char* first;
};

void report(void* state, const ReportedViolation& violation) {
    auto* report = static_cast<Report*>(state);
    if (report->violations++ == 0) {
        report->first = MemoryContextStrdup(report->context, tell_violation(violation));
    }
}

const char* summary(const Verification& result, const Archive& archive, const Report& report,
                    const ReceiptCheck& receipts) {
    if (archive.expired && report.violations == 0) {
        return psprintf(
            "Expired: the %lld archived events were deleted. The record of them is "
            "intact.",
            static_cast<long long>(result.total_events));
    }
    const char* unchecked = warn_unchecked(receipts);
    if (report.violations == 0) {
        return psprintf("All %lld archived events verified. Chain integrity intact.%s",
                        static_cast<long long>(result.total_events), unchecked);
    }
    return psprintf(
        "Chain integrity violated: %lld violation%s in %lld archived events. First: "
        "%s%s%s",
        static_cast<long long>(report.violations), report.violations == 1 ? "" : "s",
        static_cast<long long>(result.total_events), report.first, unchecked[0] == '\0' ? "" : ".",
        unchecked);
}

void check_record(const Log& log, std::int64_t archive, const ArchiveTotals& totals,
                  const ViolationReceiver& receiver) {
    const char* fault = operations_fault();
    if (fault == nullptr) {
        fault = archive_fault(log, archive, totals);
    }
    if (fault != nullptr) {
        receiver.take(receiver.state, {nullptr, 0, name(Violation::archive_mismatch), fault});
    }
}

ArchivedCheck check_table(const Log& log, const Archive& archive,
                          const ViolationReceiver& receiver) {
    if (get_rel_name(archive.table) == nullptr) {
        receiver.take(receiver.state, {nullptr, 0, name(Violation::archive_mismatch),
                                       psprintf("the table of archive %lld is gone",
                                                static_cast<long long>(archive.number))});
        return {};
    }
    ArchivedCheck check = check_archived_entries(log, archive.number, archive.table, receiver);
    if (const char* state = archive_guard_state(archive.table)) {
        receiver.take(receiver.state, {nullptr, 0, name(Violation::guard_disabled), state});
    }
    return check;
}

Verification verify_archive(std::int64_t number, MemoryContext caller) {
    Archive archive = require_archive(number);
    const Log& log = require_log(archive.log);
    require_readable(log);
    Report found = {CurrentMemoryContext, 0, nullptr};
    ViolationReceiver receiver = {report, &found};
    ArchiveTotals totals = read_archive_totals(log, number);
    ReceiptCheck receipts = begin_receipt_check(log);
    begin_progress(log.relation, "verify_archive", "reading entries", totals.entries);
    Verification result = {};
    result.total_events = totals.entries;
    result.chains = totals.chains;
    if (!archive.expired) {
        ArchivedCheck check = archive.file.path == nullptr
                                  ? check_table(log, archive, receiver)
                                  : check_archive_file(log, number, archive.file, receiver);
        receipts.unchecked = check.receipts_unchecked;
        result.verified_events = check.entries - check.faulty;
    }
    check_record(log, number, totals, receiver);
    result.intact = found.violations == 0;
    result.violations = found.violations;
    result.message = MemoryContextStrdup(caller, summary(result, archive, found, receipts));
    record_verification(log, psprintf("archive %lld", static_cast<long long>(number)), result);
    return result;
}

}  // namespace

ArchivedCheck check_archived_entries(const Log& log, std::int64_t archive, Oid table,
                                     const ViolationReceiver& receiver) {
    const Log& cold = cold_log(log, table);
    ArchivedCheck check = {};
    ReceiptCheck receipts = begin_receipt_check(log);
    RangeWalk walk = {nullptr, ChainWalk(sha256()), nullptr, &receipts, &check, &receiver, {}};
    std::int32_t chain = 0;
    for_each_range_of(archive, [&](const ArchivedRange& range) {
        check.chains += range.chain_id != chain;
        chain = range.chain_id;
        walk.range = &range;
        check_range(cold, &walk);
    });
    check.receipts_unchecked = receipts.unchecked;
    return check;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// verify_archive(archive bigint) → as verify()
AUDITCHAIN_FUNCTION(auditchain_verify_archive) {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    int guc_level = forbid_row_security();
    Verification result = verify_archive(PG_GETARG_INT64(0), caller);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    PG_RETURN_DATUM(verification_row(fcinfo, result));
}
