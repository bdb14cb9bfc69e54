#include "pg/verify.h"

#include "pg/archive_record.h"
#include "pg/entry_pass.h"
#include "pg/entry_scan.h"
#include "pg/entry_walk.h"
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

struct Verifier {
    const Log* log;
    const ViolationReceiver* receiver;
    MemoryContext context;
    EntryWalk walk;
    std::int64_t violations;
    char* first;  // the first violation, as verify() tells it
    ArchivedPart archived;
    SealedPart sealed;
};

void report(Verifier* verifier, const ReportedViolation& violation) {
    verifier->violations++;
    if (verifier->first == nullptr) {
        verifier->first = MemoryContextStrdup(verifier->context, tell_violation(violation));
    }
    if (verifier->receiver != nullptr) {
        verifier->receiver->take(verifier->receiver->state, violation);
    }
}

void report_part(void* state, const ReportedViolation& violation) {
    report(static_cast<Verifier*>(state), violation);
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
    auto total = static_cast<long long>(verifier.walk.entries + verifier.archived.entries);
    const char* unchecked = warn_unchecked(verifier.walk.receipts);
    if (verifier.violations == 0) {
        const char* sealed = "";
        if (verifier.sealed.checkpoints > 0) {
            sealed =
                psprintf(" %lld of them sealed by %d checkpoint%s.",
                         static_cast<long long>(verifier.sealed.entries),
                         verifier.sealed.checkpoints, verifier.sealed.checkpoints == 1 ? "" : "s");
        }
        const char* archived = "";
        if (verifier.archived.archives > 0) {
            archived = psprintf(", %lld of them archived",
                                static_cast<long long>(verifier.archived.entries));
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
    Verifier verifier = {};
    verifier.log = &log;
    verifier.receiver = receiver;
    verifier.context = CurrentMemoryContext;
    ViolationReceiver parts = {report_part, &verifier};
    std::int64_t estimated = estimated_entries(log);
    begin_progress(log.relation, "verify", "reading entries", estimated);
    EntryPass pass = pass_over_entries(log);
    FaultyPlaces faulty_places = {};
    if (pass.intact) {
        verifier.walk = {
            pass.entries, 0, pass.chains, {&log, 0, pass.receipts_unchecked, pass.receipts_past}};
    } else {
        verifier.walk = walk_entries(log, estimated, &faulty_places, parts);
    }
    verifier.sealed = verify_checkpoints(log, pass.intact, &faulty_places, parts);
    verifier.archived = verify_archive_records(log, parts);
    verify_guard(&verifier);
    if (!pass.intact && verifier.violations == 0) {
        warn_of_index(log);
    }

    Verification result = {};
    result.intact = verifier.violations == 0;
    result.total_events = verifier.walk.entries + verifier.archived.entries;
    result.verified_events = result.total_events - verifier.walk.faulty;
    result.chains = verifier.walk.chains;
    result.checkpoints = verifier.sealed.checkpoints;
    result.violations = verifier.violations;
    result.message = MemoryContextStrdup(caller, summary(verifier));
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
