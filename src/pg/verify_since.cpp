// verify_since(): the entries that came after a checkpoint, and the checkpoint itself.

#include "core/chain_walk.h"
#include "core/checkpoint.h"
#include "core/malformed.h"
#include "core/merkle_proof.h"
#include "core/note.h"
#include "pg/archive_record.h"
#include "pg/barrier.h"
#include "pg/chain_ends.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/incarnation.h"
#include "pg/progress.h"
#include "pg/receipt.h"
#include "pg/tree.h"
#include "pg/verify.h"
#include "pg/violation_text.h"

extern "C" {
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// A checkpoint that somebody has kept.
struct KeptCheckpoint {
    std::int64_t size;
    Digest root;
    bool newest_life;  // its origin is that of the log now
};

struct SinceCheck {
    const Log* log;
    std::int64_t tree_size;
    MemoryContext context;  // of the whole check
    MemoryContext chain_context;
    std::int64_t entries;
    std::int64_t faulty;
    std::int32_t chains;
    std::int64_t violations;
    bool tail_missing;
    char* first;
    ReceiptCheck receipts;
    ArchivedRanges archived;
    Finding run;  // the newest finding: entries side by side whose receipts are invalid are one
};

void report(SinceCheck* check, const ReportedViolation& violation) {
    if (check->violations++ == 0) {
        check->first = MemoryContextStrdup(check->context, tell_violation(violation));
    }
}

void report_archive(void* state, const ReportedViolation& violation) {
    report(static_cast<SinceCheck*>(state), violation);
}

struct ChainFindings {
    SinceCheck* check;
    EntryScan* scan;
    std::int32_t chain_id;
    std::int64_t sealed;
};

// The walk begins with the last sealed entry, before which it misses all others.
void take_findings(const ChainFindings& chain, const Finding* findings, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        Finding finding = findings[i];
        if (finding.last <= chain.sealed) {
            continue;
        }
        finding.first = std::max(finding.first, chain.sealed + 1);
        if (finding.kind == Violation::head_missing && chain.sealed > 0) {
            finding.kind = Violation::entry_missing;
        }
        finding.chain = chain.chain_id;
        chain.check->faulty += finding.has_row;
        if (extend_run(chain.check->run, finding)) {
            continue;
        }
        chain.check->run = finding;
        report(chain.check, describe_finding(*chain.scan, finding));
    }
}

// What is archived up to a position; of what is sealed only the end.
void walk_archived(SinceCheck* check, const ChainFindings& chain, ChainWalk* walk,
                   std::int64_t position) {
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    while (const ArchivedRange* range = next_archived_range(&check->archived, position)) {
        const ArchivedEntries& entries = range->entries;
        check->entries +=
            std::max<std::int64_t>(entries.last - std::max(entries.first, chain.sealed + 1) + 1, 0);
        barrier([&] { count = walk->next(entries, findings); });
        take_findings(chain, findings, count);
    }
}

void walk_new_entries(SinceCheck* check, const ChainEnd& end, std::int64_t sealed) {
    ChainFindings chain = {
        check,
        open_entries(*check->log, psprintf("e.chain_id OPERATOR(pg_catalog.=) %d AND "
                                           "e.chain_position OPERATOR(pg_catalog.>=) %lld",
                                           end.chain_id, static_cast<long long>(sealed))),
        end.chain_id, sealed};
    ChainWalk walk(sha256());
    walk.begin_chain();
    begin_archived_chain(&check->archived, end.chain_id, sealed);
    ScannedEntry scanned = {};
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    while (next_entry(chain.scan, &scanned)) {
        walk_archived(check, chain, &walk, scanned.entry.position);
        check->entries += scanned.entry.position > sealed;
        advance_progress(progress_slot(), 1);
        scanned.entry.key_matches =
            chain.scan->plan->key.empty() || scanned_key(chain.scan) == end.key;
        scanned.entry.receipt = check_receipt(
            &check->receipts, {end.key, end.lane, scanned.entry.position, scanned.entry.checksum},
            scanned.has_receipt ? &scanned.receipt : nullptr);
        scanned.entry.payload = scanned_payload(chain.scan);
        barrier([&] { count = walk.next(scanned.entry, findings); });
        take_findings(chain, findings, count);
    }
    walk_archived(check, chain, &walk, PG_INT64_MAX);
    barrier([&] { count = walk.end_chain(findings); });
    take_findings(chain, findings, count);
    close_entries(chain.scan);
}

void check_chain(void* state, const ChainEnd& end) {
    auto* check = static_cast<SinceCheck*>(state);
    MemoryContext caller = MemoryContextSwitchTo(check->chain_context);
    std::int64_t sealed = sealed_position(*check->log, end.chain_id, check->tree_size);
    if (end.newest < sealed) {
        check->tail_missing = true;
        report(check,
               {shown_chain(end.key, end.lane), end.newest + 1, name(Violation::tail_missing),
                psprintf("sealed entries behind position %lld are missing",
                         static_cast<long long>(end.newest))});
    } else if (end.newest > sealed) {
        check->chains++;
        walk_new_entries(check, end, sealed);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextReset(check->chain_context);
}

void check_size(SinceCheck* check, const KeptCheckpoint& kept, std::int64_t size) {
    Violation kind = kept.newest_life ? Violation::tail_missing : Violation::incarnation_changed;
    report(check, {nullptr, 0, name(kind),
                   psprintf(kept.newest_life
                                ? "the checkpoint is of %s, the log has sealed %lld"
                                : "the checkpoint is of %s; the log was restored to an earlier "
                                  "state since, and has sealed %lld",
                            count_entries(kept.size), static_cast<long long>(size))});
}

// Whether the log's tree still begins with the checkpoint's.
void check_root(SinceCheck* check, const KeptCheckpoint& kept) {
    Frontier frontier;
    Digest root = {};
    Sha256& hasher = sha256();
    bool complete = make_frontier(*check->log, make_link_reader(*check->log), kept.size, &frontier);
    barrier([&] { root = frontier.root(hasher); });
    if (!complete || root != kept.root) {
        report(check, {nullptr, 0, name(Violation::checkpoint_mismatch),
                       psprintf("the checkpoint of %s is of other entries than the log has",
                                count_entries(kept.size))});
    }
}

Verification verify_since_checkpoint(const Log& log, const KeptCheckpoint& kept,
                                     MemoryContext caller) {
    SinceCheck check = {};
    check.log = &log;
    check.receipts = begin_receipt_check(log);
    check.archived = make_archived_ranges(log);
    check.tree_size = kept.size;
    check.context = CurrentMemoryContext;
    check.chain_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain chain", ALLOCSET_DEFAULT_SIZES);
    begin_progress(log.relation, "verify", "reading entries", -1);
    std::int64_t size = require_tree_head(log).size;
    if (kept.size > size) {
        check_size(&check, kept, size);
    } else {
        read_chain_ends(log, {check_chain, &check});
        if (!check.tail_missing) {  // which explains another root
            check_root(&check, kept);
        }
    }
    verify_archive_records(log, {report_archive, &check});
    Verification result = {};
    result.intact = check.violations == 0;
    result.total_events = check.entries;
    result.verified_events = check.entries - check.faulty;
    result.chains = check.chains;
    result.checkpoints = 1;
    result.violations = check.violations;
    const char* since = psprintf("since the checkpoint of %s", count_entries(kept.size));
    const char* unchecked = warn_unchecked(check.receipts);
    result.message = MemoryContextStrdup(
        caller,
        result.intact
            ? psprintf("All %lld audit events %s verified. Chain integrity intact.%s",
                       static_cast<long long>(check.entries), since, unchecked)
            : psprintf("Chain integrity violated: %lld violation%s %s. First: %s%s%s",
                       static_cast<long long>(check.violations), check.violations == 1 ? "" : "s",
                       since, check.first, unchecked[0] == '\0' ? "" : ".", unchecked));
    record_verification(log, since, result);
    return result;
}

// A checkpoint by its size: one of those on record.
KeptCheckpoint find_checkpoint(const Log& log, std::int64_t size) {
    query_catalog_as_seen(
        "SELECT root FROM auditchain.checkpoint WHERE log_id = $1 AND tree_size = $2 LIMIT 1",
        {uuid_arg(log.id), {INT8OID, Int64GetDatum(size)}});
    KeptCheckpoint kept = {size, {}, true};
    bool null;
    if (SPI_processed == 0 ||
        !read_digest(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null),
                     &kept.root)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log \"%s\" has no checkpoint of %s", get_rel_name(log.relation),
                       count_entries(size)),
                errdetail("The sizes of its checkpoints are in the view auditchain.checkpoints."),
                errhint("Pass the signed note of a checkpoint that was kept elsewhere."));
    }
    return kept;
}

// What the log has been called, and the key of the newest checkpoint in that name.
struct KnownOrigin {
    bool known;
    bool newest;
    const char* verifier_key;
};

KnownOrigin find_origin(const Log& log, const char* origin) {
    query_catalog_as_seen(
        "SELECT i.incarnation = max(i.incarnation) OVER (), "
        "(SELECT verifier_key FROM auditchain.checkpoint AS c WHERE c.log_id = i.log_id "
        "AND c.incarnation = i.incarnation AND verifier_key IS NOT NULL ORDER BY tree_size DESC "
        "LIMIT 1), "
        "i.origin = $2 AS wanted FROM auditchain.incarnation AS i WHERE log_id = $1 "
        "ORDER BY wanted DESC LIMIT 1",
        {uuid_arg(log.id), text_arg(origin)});
    KnownOrigin found = {};
    if (SPI_processed > 0) {
        HeapTuple row = SPI_tuptable->vals[0];
        bool null;
        found.newest = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 1, &null));
        found.verifier_key = SPI_getvalue(row, SPI_tuptable->tupdesc, 2);
        found.known = DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, 3, &null));
    }
    return found;
}

// A checkpoint as its signed note, which may be from a life of the log that this copy knows nothing
// of: then it must at least be of this log.
KeptCheckpoint read_kept_note(const Log& log, text* given) {
    std::string_view bytes(VARDATA_ANY(given), VARSIZE_ANY_EXHDR(given));
    KeptCheckpoint kept = {};
    char origin[256] = "";
    char fault[256] = "";
    barrier([&] {
        try {
            const Checkpoint checkpoint = parse_checkpoint(parse_note(bytes).text);
            kept.size = static_cast<std::int64_t>(checkpoint.size);
            kept.root = checkpoint.root;
            strlcpy(origin, checkpoint.origin.c_str(), sizeof origin);
        } catch (const Malformed& e) {
            strlcpy(fault, e.what(), sizeof fault);
        }
    });
    const char* prefix = psprintf("auditchain/%s/", uuid_text(log.id));
    if (fault[0] == '\0' && strncmp(origin, prefix, strlen(prefix)) != 0) {
        strlcpy(fault, "it is of another log", sizeof fault);
    }
    KnownOrigin found = find_origin(log, origin);
    kept.newest_life = found.known && found.newest;
    if (fault[0] == '\0' && found.known && found.verifier_key != nullptr) {
        Sha256& hasher = sha256();
        barrier([&] {
            const VerifierKey key = parse_verifier_key(hasher, found.verifier_key);
            if (verify_note(hasher, parse_note(bytes), key).result == SignatureCheck::invalid) {
                strlcpy(fault, "its signature is not valid", sizeof fault);
            }
        });
    }
    if (fault[0] != '\0') {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("this is no checkpoint of log \"%s\"", get_rel_name(log.relation)),
                errdetail("%s", fault),
                errhint("Pass the note as it was given out, line breaks included."));
    }
    return kept;
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

namespace {

template <typename Read>
Datum verify_since(FunctionCallInfo fcinfo, Read&& read) {
    MemoryContext caller = CurrentMemoryContext;
    const Log& log = require_log(PG_GETARG_OID(0));
    SPI_connect();
    int guc_level = forbid_row_security();
    require_readable(log);
    KeptCheckpoint kept = read(log);
    Verification result = verify_since_checkpoint(log, kept, caller);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    return verification_row(fcinfo, result);
}

}  // namespace

// verify_since(log regclass, tree_size bigint) → as verify()
AUDITCHAIN_FUNCTION(auditchain_verify_since_size) {
    return verify_since(fcinfo,
                        [&](const Log& log) { return find_checkpoint(log, PG_GETARG_INT64(1)); });
}

// verify_since(log regclass, checkpoint text) → as verify()
AUDITCHAIN_FUNCTION(auditchain_verify_since_note) {
    return verify_since(fcinfo,
                        [&](const Log& log) { return read_kept_note(log, PG_GETARG_TEXT_PP(1)); });
}
