#include "pg/verify.h"

#include "pg/archive_record.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/entry_pass.h"
#include "pg/entry_scan.h"
#include "pg/guard.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/verify_checkpoints.h"
#include "pg/violation_text.h"

extern "C" {
#include <access/htup_details.h>
#include <access/table.h>
#include <access/xact.h>
#include <access/xlog.h>
#include <funcapi.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/rel.h>
#include <utils/tuplestore.h>
}

namespace auditchain::pg {
namespace {

// Findings are held back so that consequences can be told from causes, but not without bound: past
// this many, those at hand are settled among themselves.
constexpr std::size_t kMaxHeldFindings = 100000;

// A chain number as the rows carry it, and what the catalog knows of it.
struct ScannedChain {
    std::int32_t id;
    bool ours;             // the catalog has it as a chain of this log
    std::string_view key;  // UTF-8
    int lane;
};

struct Verifier {
    const Log* log;
    const ViolationReceiver* receiver;
    MemoryContext context;
    MemoryContext chain_context;  // of the current chain's name
    ChainWalk walk;
    ReceiptCheck receipts;
    EntryScan* scan = nullptr;
    bool in_chain = false;
    ScannedChain chain = {};
    std::int64_t strays = 0;  // entries so far of a chain that is not ours
    Finding stray = {};       // the one for all of them
    Finding* findings = nullptr;
    std::size_t finding_count = 0;
    std::int64_t total = 0;
    std::int64_t faulty = 0;  // entries that a violation names
    std::int32_t chains = 0;
    std::int64_t violations = 0;
    char* first = nullptr;  // the first violation, as verify() tells it
    ArchivedRanges archived;
    ArchivedPart archived_part = {};
    FaultyPlaces faulty_places = {};
    SealedPart sealed = {};
};

ScannedChain look_up_chain(const Log& log, std::int32_t chain_id) {
    ChainName name;
    bool ours = find_log_chain(log.id, chain_id, &name);
    return ours ? ScannedChain{chain_id, true, name.key, name.lane}
                : ScannedChain{chain_id, false, {}, 0};
}

void report(Verifier* verifier, const ReportedViolation& violation) {
    verifier->violations++;
    if (verifier->first == nullptr) {
        verifier->first = MemoryContextStrdup(verifier->context, tell_violation(violation));
    }
    if (verifier->receiver != nullptr) {
        verifier->receiver->take(verifier->receiver->state, violation);
    }
}

void report_sealed(void* state, const ReportedViolation& violation) {
    report(static_cast<Verifier*>(state), violation);
}

void settle_findings(Verifier* verifier) {
    // Consequences too: they explain what the checkpoints make of them.
    for (std::size_t i = 0; i < verifier->finding_count; i++) {
        const Finding& finding = verifier->findings[i];
        add_faulty_place(&verifier->faulty_places,
                         {static_cast<std::int32_t>(finding.chain), finding.first, finding.last});
    }
    std::size_t remaining = 0;
    barrier([&] { remaining = explain({verifier->findings, verifier->finding_count}); });
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain finding", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    for (std::size_t i = 0; i < remaining; i++) {
        CHECK_FOR_INTERRUPTS();
        const Finding& finding = verifier->findings[i];
        verifier->faulty += finding.has_row ? finding.last - finding.first + 1 : 0;
        MemoryContextSwitchTo(verifier->context);
        add_faulty_place(&verifier->faulty_places,
                         {static_cast<std::int32_t>(finding.chain), finding.first, finding.last});
        MemoryContextSwitchTo(context);
        report(verifier, describe_finding(*verifier->scan, finding));
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    verifier->finding_count = 0;
}

void hold_findings(Verifier* verifier, const Finding* findings, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        Finding finding = findings[i];
        finding.chain = verifier->chain.id;
        std::size_t held = verifier->finding_count;
        if (held == 0 || !extend_run(verifier->findings[held - 1], finding)) {
            verifier->findings[verifier->finding_count++] = finding;
        }
    }
    if (verifier->finding_count + kMaxFindings > kMaxHeldFindings) {
        settle_findings(verifier);
    }
}

// Entries with a chain number that is none of this log's stand in no chain: one finding for all. If
// they were moved from a chain in one piece, they explain where they are missing.
void verify_stray_entry(Verifier* verifier, const Entry& entry) {
    Finding& stray = verifier->stray;
    if (verifier->strays++ == 0) {
        stray = {};
        stray.kind = Violation::key_mismatch;
        stray.first = stray.last = entry.position;
        stray.row = entry.row;
        stray.has_row = true;
        stray.content_intact = true;
        stray.own = entry.checksum;
        stray.expected = entry.previous;
    } else {
        verifier->faulty++;
        if (stray.length != verifier->strays - 1 || entry.previous != stray.end.stored) {
            return;
        }
    }
    stray.end = {entry.checksum, entry.checksum};
    stray.length++;
}

// Walks along what is archived up to a position.
void walk_archived(Verifier* verifier, std::int64_t position) {
    while (const ArchivedRange* range = next_archived_range(&verifier->archived, position)) {
        Finding findings[kMaxFindings];
        std::size_t count = 0;
        barrier([&] { count = verifier->walk.next(range->entries, findings); });
        hold_findings(verifier, findings, count);
    }
}

void end_chain(Verifier* verifier) {
    if (verifier->in_chain && verifier->chain.ours) {
        walk_archived(verifier, PG_INT64_MAX);
        Finding findings[kMaxFindings];
        std::size_t count = 0;
        barrier([&] { count = verifier->walk.end_chain(findings); });
        hold_findings(verifier, findings, count);
    } else if (verifier->in_chain) {
        hold_findings(verifier, &verifier->stray, 1);
    }
    verifier->in_chain = false;
}

void begin_chain(Verifier* verifier, std::int32_t chain_id) {
    end_chain(verifier);
    MemoryContextReset(verifier->chain_context);
    MemoryContext caller = MemoryContextSwitchTo(verifier->chain_context);
    verifier->chain = look_up_chain(*verifier->log, chain_id);
    MemoryContextSwitchTo(caller);
    verifier->walk.begin_chain();
    begin_archived_chain(&verifier->archived, chain_id, 0);
    verifier->in_chain = true;
    verifier->strays = 0;
    verifier->chains += verifier->chain.ours;
}

void verify_entry(Verifier* verifier, ScannedEntry* scanned) {
    if (!verifier->in_chain || verifier->chain.id != scanned->chain_id) {
        begin_chain(verifier, scanned->chain_id);
    }
    if (!verifier->chain.ours) {
        verify_stray_entry(verifier, scanned->entry);
        return;
    }
    walk_archived(verifier, scanned->entry.position);
    scanned->entry.key_matches =
        verifier->scan->plan->key.empty() || scanned_key(verifier->scan) == verifier->chain.key;
    const ScannedChain& chain = verifier->chain;
    scanned->entry.receipt =
        check_receipt(&verifier->receipts,
                      {chain.key, chain.lane, scanned->entry.position, scanned->entry.checksum},
                      scanned->has_receipt ? &scanned->receipt : nullptr);
    scanned->entry.payload = scanned_payload(verifier->scan);
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = verifier->walk.next(scanned->entry, findings); });
    hold_findings(verifier, findings, count);
}

// A row without a chain or position stands nowhere, as one at position 0 does.
void verify_unchained_entry(Verifier* verifier, ScannedEntry* scanned) {
    end_chain(verifier);
    verifier->chain = {};
    scanned->entry.position = 0;
    scanned->entry.key_matches = true;
    scanned->entry.payload = scanned_payload(verifier->scan);
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = verifier->walk.next(scanned->entry, findings); });
    hold_findings(verifier, findings, count);
}

void verify_entries(Verifier* verifier) {
    ScannedEntry scanned = {};
    while (next_entry(verifier->scan, &scanned)) {
        verifier->total++;
        advance_progress(progress_slot(), 1);
        if (scanned.in_chain) {
            verify_entry(verifier, &scanned);
        } else {
            verify_unchained_entry(verifier, &scanned);
        }
    }
    end_chain(verifier);
    settle_findings(verifier);
}

// As the planner knows it: -1 for a table that was never analyzed.
std::int64_t estimated_entries(const Log& log) {
    double entries = 0;
    ListCell* cell;
    foreach (cell, log_leaves(log.relation)) {
        Relation leaf = table_open(lfirst_oid(cell), AccessShareLock);
        entries = leaf->rd_rel->reltuples < 0 ? -1 : entries + leaf->rd_rel->reltuples;
        table_close(leaf, NoLock);
        if (entries < 0) {
            break;
        }
    }
    return static_cast<std::int64_t>(entries);
}

// Finds each violation and its place. Sorts all entries: whoever tampered with the table may have
// tampered with its index.
void locate_violations(Verifier* verifier, std::int64_t estimated) {
    enter_phase("locating violations", estimated);
    int guc_level = NewGUCNestLevel();
    for (const char* setting : {"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"}) {
        set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
    }
    const Log& log = *verifier->log;
    verifier->findings = static_cast<Finding*>(
        MemoryContextAllocHuge(CurrentMemoryContext, kMaxHeldFindings * sizeof(Finding)));
    verifier->scan = open_entries(log, log.released ? "e.chain_id IS NOT NULL" : nullptr);
    verify_entries(verifier);
    close_entries(verifier->scan);
    AtEOXact_GUC(true, guc_level);
}

// The entries are intact, but not as the index on (chain_id, chain_position) shows them.
void warn_of_index(const Log& log) {
    ereport(WARNING, errcode(ERRCODE_INDEX_CORRUPTED),
            errmsg("the index on (chain_id, chain_position) of log \"%s\" is missing, or shows "
                   "other entries than the table",
                   get_rel_name(log.relation)),
            errdetail("The entries themselves are intact, but new ones are chained by the index."),
            errhint("REINDEX TABLE %s", qualified_name(log.relation)));
}

// The guard of a released log is gone by intent.
void verify_guard(Verifier* verifier) {
    if (verifier->log->released) {
        return;
    }
    if (char* state = guard_state(*verifier->log)) {
        report(verifier, {nullptr, 0, name(Violation::guard_disabled), state});
    }
}

char* summary(const Verifier& verifier) {
    auto total = static_cast<long long>(verifier.total);
    const char* unchecked = warn_unchecked(verifier.receipts);
    if (verifier.violations == 0) {
        const char* sealed = "";
        if (verifier.sealed.checkpoints > 0) {
            sealed =
                psprintf(" %lld of them sealed by %d checkpoint%s.",
                         static_cast<long long>(verifier.sealed.entries),
                         verifier.sealed.checkpoints, verifier.sealed.checkpoints == 1 ? "" : "s");
        }
        const char* archived = "";
        if (verifier.archived_part.archives > 0) {
            archived = psprintf(", %lld of them archived",
                                static_cast<long long>(verifier.archived_part.entries));
        }
        return psprintf("All %lld audit events verified%s. Chain integrity intact.%s%s", total,
                        archived, sealed, unchecked);
    }
    return psprintf(
        "Chain integrity violated: %lld violation%s in %lld audit events. First: %s%s%s",
        static_cast<long long>(verifier.violations), verifier.violations == 1 ? "" : "s", total,
        verifier.first, unchecked[0] == '\0' ? "" : ".", unchecked);
}

}  // namespace

void record_verification(const Log& log, const char* scope, const Verification& result) {
    if (XactReadOnly || RecoveryInProgress() || IsInParallelMode()) {
        return;
    }
    change_catalog(
        "INSERT INTO auditchain.verification "
        "(log_id, verified_by, scope, intact, total_events, violations, message) "
        "VALUES ($1, $2, $3, $4, $5, $6, $7)",
        {uuid_arg(log.id),
         text_arg(current_actor()),
         text_arg(scope),
         {BOOLOID, BoolGetDatum(result.intact)},
         {INT8OID, Int64GetDatum(result.total_events)},
         {INT8OID, Int64GetDatum(result.violations)},
         text_arg(result.message)});
}

Verification verify_log(const Log& log, const ViolationReceiver* receiver) {
    MemoryContext caller = CurrentMemoryContext;
    SPI_connect();
    int guc_level = forbid_row_security();
    auto* verifier = new (palloc(sizeof(Verifier))) Verifier{
        .log = &log,
        .receiver = receiver,
        .context = CurrentMemoryContext,
        .chain_context =
            AllocSetContextCreate(CurrentMemoryContext, "auditchain chain", ALLOCSET_SMALL_SIZES),
        .walk = ChainWalk(sha256()),
        .receipts = begin_receipt_check(log),
        .archived = make_archived_ranges(log),
    };
    std::int64_t estimated = estimated_entries(log);
    begin_progress(log.relation, "verify", "reading entries", estimated);
    EntryPass pass = pass_over_entries(log);
    if (pass.intact) {
        verifier->total = pass.entries;
        verifier->chains = pass.chains;
        verifier->receipts.unchecked = pass.receipts_unchecked;
        verifier->receipts.past = pass.receipts_past;
    } else {
        locate_violations(verifier, estimated);
    }
    ViolationReceiver sealed_receiver = {report_sealed, verifier};
    verifier->sealed =
        verify_checkpoints(log, pass.intact, &verifier->faulty_places, sealed_receiver);
    verifier->archived_part = verify_archive_records(log, sealed_receiver);
    verify_guard(verifier);
    if (!pass.intact && verifier->violations == 0) {
        warn_of_index(log);
    }

    Verification result = {};
    result.intact = verifier->violations == 0;
    verifier->total += verifier->archived_part.entries;
    result.total_events = verifier->total;
    result.verified_events = verifier->total - verifier->faulty;
    result.chains = verifier->chains;
    result.checkpoints = verifier->sealed.checkpoints;
    result.violations = verifier->violations;
    result.message = MemoryContextStrdup(caller, summary(*verifier));
    AtEOXact_GUC(true, guc_level);
    record_verification(log, "all entries", result);
    SPI_finish();
    return result;
}

Datum verification_row(FunctionCallInfo fcinfo, const Verification& result) {
    TupleDesc descriptor;
    if (get_call_result_type(fcinfo, nullptr, &descriptor) != TYPEFUNC_COMPOSITE) {
        elog(ERROR, "return type must be a row type");
    }
    Datum values[] = {BoolGetDatum(result.intact),           Int64GetDatum(result.total_events),
                      Int64GetDatum(result.verified_events), Int32GetDatum(result.chains),
                      Int32GetDatum(result.checkpoints),     Int64GetDatum(result.violations),
                      CStringGetTextDatum(result.message)};
    bool nulls[lengthof(values)] = {};
    return HeapTupleGetDatum(heap_form_tuple(BlessTupleDesc(descriptor), values, nulls));
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

namespace {

void put_violation(void* state, const ReportedViolation& violation) {
    auto* result = static_cast<ReturnSetInfo*>(state);
    bool has_chain = violation.chain != nullptr;
    Datum values[] = {has_chain ? CStringGetTextDatum(violation.chain) : 0,
                      Int64GetDatum(violation.position), CStringGetTextDatum(violation.kind),
                      CStringGetTextDatum(violation.detail)};
    bool nulls[] = {!has_chain, violation.position < 1, false, false};
    tuplestore_putvalues(result->setResult, result->setDesc, values, nulls);
}

}  // namespace

// verify(log regclass) → one row
AUDITCHAIN_FUNCTION(auditchain_verify) {
    const Log& log = require_log(PG_GETARG_OID(0));
    PG_RETURN_DATUM(verification_row(fcinfo, verify_log(log, nullptr)));
}

// verify_entry(log regclass, chain_id int, "position" bigint) → one row
AUDITCHAIN_FUNCTION(auditchain_verify_entry) {
    const Log& log = require_log(PG_GETARG_OID(0));
    PG_RETURN_DATUM(
        verification_row(fcinfo, verify_one_entry(log, PG_GETARG_INT32(1), PG_GETARG_INT64(2))));
}

// violations(log regclass) → SETOF (chain, position, kind, detail)
AUDITCHAIN_FUNCTION(auditchain_violations) {
    const Log& log = require_log(PG_GETARG_OID(0));
    InitMaterializedSRF(fcinfo, 0);
    ViolationReceiver receiver = {put_violation, fcinfo->resultinfo};
    verify_log(log, &receiver);
    return 0;
}
