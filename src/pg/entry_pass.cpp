#include "pg/entry_pass.h"

#include "core/link_balance.h"
#include "pg/archived_range.h"
#include "pg/chain_ends.h"
#include "pg/chain_row.h"
#include "pg/entry.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/leaf_tables.h"
#include "pg/payload.h"
#include "pg/progress.h"
#include "pg/receipt.h"

extern "C" {
#include <access/parallel.h>
#include <access/table.h>
#include <access/tableam.h>
#include <catalog/pg_proc.h>
#include <executor/tuptable.h>
#include <miscadmin.h>
#include <storage/spin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/snapmgr.h>
}

namespace auditchain::pg {
namespace {

// What one process has found, and then all of them.
struct Tally {
    std::int64_t entries;
    bool sound;  // every entry has a place, the checksum of its content, and no invalid receipt
    bool receipts_unchecked;
    std::int64_t receipts_past;
    LinkBalance balance;
};
static_assert(std::is_trivially_copyable_v<Tally>);

struct SharedLeaf {
    Oid relation;
    Size scan;  // offset of its ParallelTableScanDesc from the SharedPass
};

// What the leader and its workers share; in the leader's memory if there are no workers.
struct SharedPass {
    Oid log;
    int progress;
    LinkBalance::Secret secret;
    slock_t mutex;
    Tally tally;  // of the processes that are done
    int leaf_count;
    SharedLeaf leaves[FLEXIBLE_ARRAY_MEMBER];

    ParallelTableScanDesc scan_of(const SharedLeaf& leaf) {
        return reinterpret_cast<ParallelTableScanDesc>(reinterpret_cast<char*>(this) + leaf.scan);
    }
};

constexpr std::uint64_t kPassKey = 1;        // in the workers' table of contents
constexpr std::int64_t kProgressStep = 500;  // entries between reports

// Lanes of the chains met last, each in the one place that its number has: entries lie in no order,
// and each has its receipt checked.
struct Lanes {
    static constexpr std::size_t kPlaces = 1024;
    struct {
        std::int32_t chain;
        int lane;
    } places[kPlaces];
};

// The lane of a chain of this log; -1 for a chain of none.
int find_lane(Lanes* lanes, const Log& log, std::int32_t chain) {
    auto& place = lanes->places[static_cast<std::uint32_t>(chain) % Lanes::kPlaces];
    if (place.chain != chain) {
        ChainName name;
        place = {chain, find_log_chain(log.id, chain, &name) ? name.lane : -1};
    }
    return place.lane;
}

// The scan of one leaf by one process.
struct LeafScan {
    const Log* log;
    Relation table;
    RowPlan* plan;
    TupleTableSlot* slot;
    MemoryContext row_context;
    Lanes* lanes;
    ReceiptCheck* receipts;
};

bool column_as_digest(const LeafScan& leaf, AttrNumber column, Digest* digest) {
    return !leaf.slot->tts_isnull[column - 1] &&
           read_digest(leaf.slot->tts_values[column - 1], digest);
}

// The key is the entry's by its own columns: that this is its chain's, the balance shows.
bool has_good_receipt(const LeafScan& leaf, std::int32_t chain, std::int64_t position,
                      const Digest& checksum, std::string_view key) {
    AttrNumber column = leaf.plan->receipt;
    Receipt receipt;
    bool present = !leaf.slot->tts_isnull[column - 1] &&
                   read_receipt(leaf.slot->tts_values[column - 1], &receipt);
    int lane = find_lane(leaf.lanes, *leaf.log, chain);
    return lane >= 0 && check_receipt(leaf.receipts, {key, lane, position, checksum},
                                      present ? &receipt : nullptr) != ReceiptState::invalid;
}

// Whether the entry in the slot has a place, the checksum of its content, and no invalid receipt.
bool take_entry(const LeafScan& leaf, LinkBalance* balance) {
    const Datum* values = leaf.slot->tts_values;
    const bool* nulls = leaf.slot->tts_isnull;
    RowPlan* plan = leaf.plan;
    Digest previous;
    Digest checksum;
    if (nulls[plan->chain_id - 1] || nulls[plan->chain_position - 1] ||
        !column_as_digest(leaf, plan->previous_checksum, &previous) ||
        !column_as_digest(leaf, plan->checksum, &checksum)) {
        return false;
    }
    std::int32_t chain = DatumGetInt32(values[plan->chain_id - 1]);
    std::int64_t position = DatumGetInt64(values[plan->chain_position - 1]);
    balance->add_entry(chain, position, previous, checksum);
    std::string_view key = write_chain_key(plan, values, nulls);
    if (!plan->key.empty()) {
        balance->add_key(chain, key);
    }
    if (plan->receipt != 0 && !has_good_receipt(leaf, chain, position, checksum, key)) {
        return false;
    }
    return checksum_of(previous, write_payload(plan, values, nulls)) == checksum;
}

// Rows without a chain came after a log's release.
bool is_entry(const LeafScan& leaf) {
    return !leaf.log->released || !leaf.slot->tts_isnull[leaf.plan->chain_id - 1];
}

void scan_leaf(const LeafScan& leaf, SharedPass* pass, TableScanDesc scan, Tally* tally) {
    MemoryContext caller = MemoryContextSwitchTo(leaf.row_context);
    while (table_scan_getnextslot(scan, ForwardScanDirection, leaf.slot)) {
        CHECK_FOR_INTERRUPTS();
        slot_getallattrs(leaf.slot);
        if (!is_entry(leaf)) {
            continue;
        }
        tally->sound &= take_entry(leaf, &tally->balance);
        if (++tally->entries % kProgressStep == 0) {
            advance_progress(pass->progress, kProgressStep);
        }
        MemoryContextReset(leaf.row_context);
    }
    MemoryContextSwitchTo(caller);
}

// One process's share of all leaves.
void scan_leaves(const Log& log, SharedPass* pass) {
    Tally tally = {0, true, false, 0, LinkBalance(pass->secret)};
    auto* lanes = static_cast<Lanes*>(palloc0(sizeof(Lanes)));  // no chain has number 0
    ReceiptCheck receipts = begin_receipt_check(log);
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain leaf", ALLOCSET_DEFAULT_SIZES);
    MemoryContext row_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain row", ALLOCSET_DEFAULT_SIZES);
    for (int i = 0; i < pass->leaf_count; i++) {
        MemoryContext caller = MemoryContextSwitchTo(context);
        Relation table = table_open(pass->leaves[i].relation, AccessShareLock);
        LeafScan leaf = {&log,
                         table,
                         plan_row(log, RelationGetDescr(table)),
                         table_slot_create(table, nullptr),
                         row_context,
                         lanes,
                         &receipts};
        require_chain_columns(log, *leaf.plan, log.relation);
        TableScanDesc scan = table_beginscan_parallel(table, pass->scan_of(pass->leaves[i]));
        OutputSettings settings = enter_output_settings(leaf.plan->dependence);
        scan_leaf(leaf, pass, scan, &tally);
        leave_output_settings(settings);
        table_endscan(scan);
        ExecDropSingleTupleTableSlot(leaf.slot);
        table_close(table, AccessShareLock);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(context);
    }
    MemoryContextDelete(row_context);
    MemoryContextDelete(context);

    tally.receipts_unchecked = receipts.unchecked;
    tally.receipts_past = receipts.past;
    SpinLockAcquire(&pass->mutex);
    pass->tally.receipts_unchecked |= tally.receipts_unchecked;
    pass->tally.receipts_past += tally.receipts_past;
    pass->tally.entries += tally.entries;
    pass->tally.sound &= tally.sound;
    pass->tally.balance.merge(tally.balance);
    SpinLockRelease(&pass->mutex);
}

// An output function that must not run in a worker keeps all of the pass in this process.
bool is_parallel_safe(const Log& log) {
    for (const LogColumn& column : log.columns) {
        Oid output;
        bool varlena;
        getTypeOutputInfo(get_atttype(log.relation, get_attnum(log.relation, NameStr(column.name))),
                          &output, &varlena);
        if (func_parallel(output) != PROPARALLEL_SAFE) {
            return false;
        }
    }
    return true;
}

Size pass_size(const Leaves& leaves, Snapshot snapshot) {
    Size size = MAXALIGN(
        add_size(offsetof(SharedPass, leaves), mul_size(leaves.count, sizeof(SharedLeaf))));
    for (int i = 0; i < leaves.count; i++) {
        size = add_size(size, MAXALIGN(table_parallelscan_estimate(leaves.tables[i], snapshot)));
    }
    return size;
}

void init_pass(SharedPass* pass, const Log& log, const Leaves& leaves, Snapshot snapshot) {
    std::uint8_t random[sizeof(LinkBalance::Secret)];
    if (!pg_strong_random(random, sizeof random)) {
        ereport(ERROR, errcode(ERRCODE_AC_INTERNAL), errmsg("no random numbers"),
                errdetail("Verification needs a secret that nobody can guess."),
                errhint("Check the server's source of random numbers."));
    }
    pass->log = log.relation;
    pass->progress = progress_slot();
    pass->secret = LinkBalance::make_secret(random);
    SpinLockInit(&pass->mutex);
    pass->tally = {0, true, false, 0, LinkBalance(pass->secret)};
    pass->leaf_count = leaves.count;
    Size offset = MAXALIGN(offsetof(SharedPass, leaves) +
                           static_cast<Size>(leaves.count) * sizeof(SharedLeaf));
    for (int i = 0; i < leaves.count; i++) {
        pass->leaves[i] = {RelationGetRelid(leaves.tables[i]), offset};
        table_parallelscan_initialize(leaves.tables[i], pass->scan_of(pass->leaves[i]), snapshot);
        offset += MAXALIGN(table_parallelscan_estimate(leaves.tables[i], snapshot));
    }
}

Tally scan_alone(const Log& log, const Leaves& leaves) {
    Snapshot snapshot = GetActiveSnapshot();
    auto* pass = static_cast<SharedPass*>(palloc0(pass_size(leaves, snapshot)));
    init_pass(pass, log, leaves, snapshot);
    scan_leaves(log, pass);
    return pass->tally;
}

Tally scan_with_workers(const Log& log, const Leaves& leaves, int workers) {
    Snapshot snapshot = GetActiveSnapshot();
    EnterParallelMode();
    ParallelContext* context =
        CreateParallelContext("$libdir/auditchain", "auditchain_pass_worker", workers);
    Size size = pass_size(leaves, snapshot);
    shm_toc_estimate_chunk(&context->estimator, size);
    shm_toc_estimate_keys(&context->estimator, 1);
    InitializeParallelDSM(context);
    auto* pass = static_cast<SharedPass*>(shm_toc_allocate(context->toc, size));
    init_pass(pass, log, leaves, snapshot);
    shm_toc_insert(context->toc, kPassKey, pass);
    LaunchParallelWorkers(context);
    scan_leaves(log, pass);
    WaitForParallelWorkersToFinish(context);
    Tally tally = pass->tally;
    DestroyParallelContext(context);
    ExitParallelMode();
    return tally;
}

// Adds what is at the two ends of the chains, and what is archived, and counts the chains.
struct EndAdder {
    LinkBalance* balance;
    bool keyed;
    std::int32_t chains;
    ArchivedRanges archived;
    bool sound;  // each range ends where it begins, or behind
};

void add_archived(EndAdder* adder, const ChainEnd& end) {
    begin_archived_chain(&adder->archived, end.chain_id, 0);
    while (const ArchivedRange* range = next_archived_range(&adder->archived, end.archived)) {
        const ArchivedEntries& entries = range->entries;
        adder->sound &= entries.first >= 1 && entries.first <= entries.last;
        adder->balance->add_archived(end.chain_id, entries.first, entries.last, entries.previous,
                                     entries.checksum);
        if (adder->keyed) {
            adder->balance->add_archived_keys(end.chain_id, end.key,
                                              entries.last - entries.first + 1);
        }
    }
}

void add_chain_end(void* state, const ChainEnd& end) {
    auto* adder = static_cast<EndAdder*>(state);
    if (!end.has_checksum) {  // empty, or the pass has found it
        return;
    }
    adder->chains++;
    if (end.archived > 0) {
        add_archived(adder, end);
    }
    adder->balance->add_chain(end.chain_id, end.newest, end.checksum);
    if (adder->keyed) {
        adder->balance->add_expected_keys(end.chain_id, end.key, end.newest);
    }
}

}  // namespace

EntryPass pass_over_entries(const Log& log) {
    require_readable(log);
    Leaves leaves = open_leaves(log);
    EntryPass result = {};
    // Without the index the newest entry of each chain would be another scan.
    if (have_position_indexes(leaves)) {
        int workers = is_parallel_safe(log) ? worker_count(leaves) : 0;
        Tally tally =
            workers > 0 ? scan_with_workers(log, leaves, workers) : scan_alone(log, leaves);
        if (tally.sound) {
            EndAdder adder = {&tally.balance, !log.chain_by.empty(), 0, make_archived_ranges(log),
                              true};
            read_chain_ends(log, {add_chain_end, &adder});
            result.chains = adder.chains;
            result.entries = tally.entries;
            result.intact = adder.sound && tally.balance.balanced();
            result.receipts_unchecked = tally.receipts_unchecked;
            result.receipts_past = tally.receipts_past;
        }
    }
    close_leaves(leaves);
    return result;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

extern "C" AUDITCHAIN_EXPORT void auditchain_pass_worker(dsm_segment* segment, shm_toc* toc);

// Runs in each worker of a pass: see LaunchParallelWorkers in access/transam/parallel.c.
void auditchain_pass_worker(dsm_segment*, shm_toc* toc) {
    auto* pass = static_cast<SharedPass*>(shm_toc_lookup(toc, kPassKey, false));
    scan_leaves(require_log(pass->log), pass);
}
