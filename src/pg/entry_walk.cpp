#include "pg/entry_walk.h"

#include "pg/archived_range.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/progress.h"
#include "pg/violation_text.h"

extern "C" {
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/memutils.h>
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

struct Walk {
    const Log* log;
    const ViolationReceiver* receiver;
    FaultyPlaces* faulty_places;
    MemoryContext context;
    MemoryContext chain_context;  // of the current chain's name
    ChainWalk chain_walk;
    ArchivedRanges archived;
    EntryScan* scan;
    Finding* findings;  // held back
    EntryWalk result;
    std::size_t finding_count = 0;
    bool in_chain = false;
    ScannedChain chain = {};
    std::int64_t strays = 0;  // entries so far of a chain that is not ours
    Finding stray = {};       // the one for all of them
};

ScannedChain look_up_chain(const Log& log, std::int32_t chain_id) {
    ChainName name;
    bool ours = find_log_chain(log.id, chain_id, &name);
    return ours ? ScannedChain{chain_id, true, name.key, name.lane}
                : ScannedChain{chain_id, false, {}, 0};
}

void settle_findings(Walk* walk) {
    // Consequences too: they explain what the checkpoints make of them.
    for (std::size_t i = 0; i < walk->finding_count; i++) {
        const Finding& finding = walk->findings[i];
        add_faulty_place(walk->faulty_places,
                         {static_cast<std::int32_t>(finding.chain), finding.first, finding.last});
    }
    std::size_t remaining = 0;
    barrier([&] { remaining = explain({walk->findings, walk->finding_count}); });
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain finding", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    for (std::size_t i = 0; i < remaining; i++) {
        CHECK_FOR_INTERRUPTS();
        const Finding& finding = walk->findings[i];
        walk->result.faulty += finding.has_row ? finding.last - finding.first + 1 : 0;
        MemoryContextSwitchTo(walk->context);
        add_faulty_place(walk->faulty_places,
                         {static_cast<std::int32_t>(finding.chain), finding.first, finding.last});
        MemoryContextSwitchTo(context);
        walk->receiver->take(walk->receiver->state, describe_finding(*walk->scan, finding));
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
    walk->finding_count = 0;
}

void hold_findings(Walk* walk, const Finding* findings, std::size_t count) {
    for (std::size_t i = 0; i < count; i++) {
        Finding finding = findings[i];
        finding.chain = walk->chain.id;
        std::size_t held = walk->finding_count;
        if (held == 0 || !extend_run(walk->findings[held - 1], finding)) {
            walk->findings[walk->finding_count++] = finding;
        }
    }
    if (walk->finding_count + kMaxFindings > kMaxHeldFindings) {
        settle_findings(walk);
    }
}

// Entries with a chain number that is none of this log's stand in no chain: one finding for all. If
// they were moved from a chain in one piece, they explain where they are missing.
void verify_stray_entry(Walk* walk, const Entry& entry) {
    Finding& stray = walk->stray;
    if (walk->strays++ == 0) {
        stray = {};
        stray.kind = Violation::key_mismatch;
        stray.first = stray.last = entry.position;
        stray.row = entry.row;
        stray.has_row = true;
        stray.content_intact = true;
        stray.own = entry.checksum;
        stray.expected = entry.previous;
    } else {
        walk->result.faulty++;
        if (stray.length != walk->strays - 1 || entry.previous != stray.end.stored) {
            return;
        }
    }
    stray.end = {entry.checksum, entry.checksum};
    stray.length++;
}

// Walks along what is archived up to a position.
void walk_archived(Walk* walk, std::int64_t position) {
    while (const ArchivedRange* range = next_archived_range(&walk->archived, position)) {
        Finding findings[kMaxFindings];
        std::size_t count = 0;
        barrier([&] { count = walk->chain_walk.next(range->entries, findings); });
        hold_findings(walk, findings, count);
    }
}

void end_chain(Walk* walk) {
    if (walk->in_chain && walk->chain.ours) {
        walk_archived(walk, PG_INT64_MAX);
        Finding findings[kMaxFindings];
        std::size_t count = 0;
        barrier([&] { count = walk->chain_walk.end_chain(findings); });
        hold_findings(walk, findings, count);
    } else if (walk->in_chain) {
        hold_findings(walk, &walk->stray, 1);
    }
    walk->in_chain = false;
}

void begin_chain(Walk* walk, std::int32_t chain_id) {
    end_chain(walk);
    MemoryContextReset(walk->chain_context);
    MemoryContext caller = MemoryContextSwitchTo(walk->chain_context);
    walk->chain = look_up_chain(*walk->log, chain_id);
    MemoryContextSwitchTo(caller);
    walk->chain_walk.begin_chain();
    begin_archived_chain(&walk->archived, chain_id, 0);
    walk->in_chain = true;
    walk->strays = 0;
    walk->result.chains += walk->chain.ours;
}

void verify_entry(Walk* walk, ScannedEntry* scanned) {
    if (!walk->in_chain || walk->chain.id != scanned->chain_id) {
        begin_chain(walk, scanned->chain_id);
    }
    if (!walk->chain.ours) {
        verify_stray_entry(walk, scanned->entry);
        return;
    }
    walk_archived(walk, scanned->entry.position);
    scanned->entry.key_matches =
        walk->scan->plan->key.empty() || scanned_key(walk->scan) == walk->chain.key;
    const ScannedChain& chain = walk->chain;
    scanned->entry.receipt =
        check_receipt(&walk->result.receipts,
                      {chain.key, chain.lane, scanned->entry.position, scanned->entry.checksum},
                      scanned->has_receipt ? &scanned->receipt : nullptr);
    scanned->entry.payload = scanned_payload(walk->scan);
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = walk->chain_walk.next(scanned->entry, findings); });
    hold_findings(walk, findings, count);
}

// A row without a chain or position stands nowhere, as one at position 0 does.
void verify_unchained_entry(Walk* walk, ScannedEntry* scanned) {
    end_chain(walk);
    walk->chain = {};
    scanned->entry.position = 0;
    scanned->entry.key_matches = true;
    scanned->entry.payload = scanned_payload(walk->scan);
    Finding findings[kMaxFindings];
    std::size_t count = 0;
    barrier([&] { count = walk->chain_walk.next(scanned->entry, findings); });
    hold_findings(walk, findings, count);
}

void verify_entries(Walk* walk) {
    ScannedEntry scanned = {};
    while (next_entry(walk->scan, &scanned)) {
        walk->result.entries++;
        advance_progress(progress_slot(), 1);
        if (scanned.in_chain) {
            verify_entry(walk, &scanned);
        } else {
            verify_unchained_entry(walk, &scanned);
        }
    }
    end_chain(walk);
    settle_findings(walk);
}

}  // namespace

EntryWalk walk_entries(const Log& log, std::int64_t estimated, FaultyPlaces* faulty,
                       const ViolationReceiver& receiver) {
    enter_phase("locating violations", estimated);
    int guc_level = NewGUCNestLevel();
    for (const char* setting : {"enable_indexscan", "enable_indexonlyscan", "enable_bitmapscan"}) {
        set_config_option(setting, "off", PGC_USERSET, PGC_S_SESSION, GUC_ACTION_SAVE, true, 0,
                          false);
    }
    auto* walk = new (palloc(sizeof(Walk))) Walk{
        .log = &log,
        .receiver = &receiver,
        .faulty_places = faulty,
        .context = CurrentMemoryContext,
        .chain_context =
            AllocSetContextCreate(CurrentMemoryContext, "auditchain chain", ALLOCSET_SMALL_SIZES),
        .chain_walk = ChainWalk(sha256()),
        .archived = make_archived_ranges(log),
        .scan = open_entries(log, log.released ? "e.chain_id IS NOT NULL" : nullptr),
        .findings = static_cast<Finding*>(
            MemoryContextAllocHuge(CurrentMemoryContext, kMaxHeldFindings * sizeof(Finding))),
        .result = {0, 0, 0, begin_receipt_check(log)},
    };
    verify_entries(walk);
    close_entries(walk->scan);
    AtEOXact_GUC(true, guc_level);
    return walk->result;
}

}  // namespace auditchain::pg
