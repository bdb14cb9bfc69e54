#include "pg/verify_checkpoints.h"

#include "core/chain_walk.h"
#include "pg/archived_range.h"
#include "pg/archived_tree.h"
#include "pg/barrier.h"
#include "pg/chain_ends.h"
#include "pg/entry.h"
#include "pg/incarnation.h"
#include "pg/note_fault.h"
#include "pg/progress.h"
#include "pg/tree.h"
#include "pg/tree_pass.h"
#include "pg/violation_text.h"

extern "C" {
#include <miscadmin.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr std::int64_t kBatch = 1000;

// Stored hashes of the lowest level, side by side.
struct StoredHashes {
    SubtreeRun run;
    bool complete;
    Digest hashes[kBatch];
};

struct TreeCheck {
    const Log* log;
    const char* log_id;
    FaultyPlaces* faulty;
    const ViolationReceiver* receiver;
    LinkReader* links;
    bool has_archives;           // of the log
    Frontier frontier;           // of the log as it is
    std::int64_t end;            // behind the last sealed leaf
    StoredHashes stored;         // being compared
    bool differs;                // one is not that of the entries since the checkpoint before
    bool edited;                 // so, where the checkpoint says that the entries are the sealed
    SealedRange range;           // that is being read
    const char* chain;           // its name
    MemoryContext context;       // of a batch of ranges
    std::int64_t mismatches;     // of checkpoints in a row that nothing explains
    ReportedViolation mismatch;  // for the first of them
    bool reported;               // there were such
};

void check_tail(void* state, const ChainEnd& end) {
    auto* check = static_cast<TreeCheck*>(state);
    if (end.newest >= end.sealed) {
        return;
    }
    add_faulty_place(check->faulty, {end.chain_id, end.newest + 1, end.sealed});
    auto count = static_cast<long long>(end.sealed - end.newest);
    check->receiver->take(
        check->receiver->state,
        {shown_chain(end.key, end.lane), end.newest + 1, name(Violation::tail_missing),
         psprintf("%lld sealed entr%s behind position %lld %s missing", count,
                  count == 1 ? "y" : "ies", static_cast<long long>(end.newest),
                  count == 1 ? "is" : "are")});
}

void begin_range(TreeCheck* check, const SealedRange& range) {
    ChainName name;
    bool known = find_log_chain(check->log->id, range.chain_id, &name);
    check->range = range;
    check->chain = known ? chain_name(name.key, name.lane) : "";
}

// Compares the stored hash of a subtree. The lowest are many, and read by the batch.
void compare_stored(TreeCheck* check, const SubtreeHash& computed) {
    SubtreeRun wanted = {computed.subtree.level, computed.subtree.index, 1};
    if (wanted.level > kStoredLevels) {
        Digest stored;
        check->differs |=
            !read_stored_hashes(*check->log, wanted, &stored) || stored != computed.hash;
        return;
    }
    SubtreeRun& run = check->stored.run;
    if (wanted.index - run.index >= run.count) {
        auto complete = static_cast<std::uint64_t>(check->end >> kStoredLevels);
        run = {wanted.level, wanted.index,
               std::clamp<std::uint64_t>(complete - wanted.index, 1, kBatch)};
        check->stored.complete = read_stored_hashes(*check->log, run, check->stored.hashes);
    }
    check->differs |=
        !check->stored.complete || check->stored.hashes[wanted.index - run.index] != computed.hash;
}

void append_subtree(TreeCheck* check, const SubtreeHash& appended) {
    Sha256& hasher = sha256();
    SubtreeHash completed[8];
    std::size_t count = 0;
    barrier([&] {
        for (const SubtreeHash& subtree :
             check->frontier.append_subtree(hasher, appended.subtree.level, appended.hash)) {
            completed[count++] = subtree;
        }
    });
    for (std::size_t i = 0; i < count; i++) {
        compare_stored(check, completed[i]);
    }
}

void append_leaf(TreeCheck* check, std::int64_t position, const Digest* checksum) {
    // What is not there has a leaf that no entry has.
    Digest hash = {};
    if (checksum != nullptr) {
        hash = leaf_hash_of(check->log_id, check->chain, position, *checksum);
    }
    append_subtree(check, {{0, check->frontier.size()}, hash});
}

// Appends the leaves of a range's entries that are in the tree of `end` leaves and not yet in ours.
void read_range(TreeCheck* check, const SealedRange& range, std::int64_t end) {
    begin_range(check, range);
    auto size = static_cast<std::int64_t>(check->frontier.size());
    std::int64_t position = range.first_position + size - range.first_leaf;
    std::int64_t last = std::min(range.last_position, position + end - size - 1);
    begin_links(check->links, range.chain_id, position, last);
    ChainLink link;
    while (next_link(check->links, &link)) {
        for (; position < link.position; position++) {
            append_leaf(check, position, nullptr);
        }
        if (link.position == position) {  // else it is there twice
            append_leaf(check, position++, &link.checksum);
            advance_progress(progress_slot(), 1);
        }
    }
    for (; position <= last; position++) {
        append_leaf(check, position, nullptr);
    }
}

// Appends the leaves of entries that are in the log, or ought to be.
void read_entries_to(TreeCheck* check, std::int64_t end) {
    while (static_cast<std::int64_t>(check->frontier.size()) < end) {
        MemoryContext caller = MemoryContextSwitchTo(check->context);
        auto before = static_cast<std::int64_t>(check->frontier.size());
        for (const SealedRange& range : read_sealed_ranges(*check->log, before, end, kBatch)) {
            read_range(check, range, end);
        }
        // Ranges that were tampered with: no leaf is left out silently.
        if (static_cast<std::int64_t>(check->frontier.size()) == before) {
            check->chain = "";
            append_leaf(check, 0, nullptr);
        }
        MemoryContextSwitchTo(caller);
        MemoryContextReset(check->context);
    }
}

// Appends archived leaves by the hashes of the subtrees that they make.
void read_archived_to(TreeCheck* check, std::int64_t end) {
    for (auto leaf = static_cast<std::int64_t>(check->frontier.size()); leaf < end;
         leaf = static_cast<std::int64_t>(check->frontier.size())) {
        CHECK_FOR_INTERRUPTS();
        MemoryContext caller = MemoryContextSwitchTo(check->context);
        Subtree subtree = biggest_subtree(leaf, end);
        Digest hash;
        if (!read_subtree_hash(*check->log, check->links, subtree, &hash)) {
            hash = {};  // that no subtree has
        }
        append_subtree(check, {subtree, hash});
        advance_progress(progress_slot(), std::int64_t{1} << subtree.level);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(check->context);
    }
}

void read_to(TreeCheck* check, std::int64_t end) {
    while (check->has_archives && static_cast<std::int64_t>(check->frontier.size()) < end) {
        LeafRun archived = find_archived_leaves(
            *check->log, static_cast<std::int64_t>(check->frontier.size()), end);
        read_entries_to(check, archived.first);
        read_archived_to(check, archived.end);
    }
    read_entries_to(check, end);
}

// Whether a violation is known among the leaves from `first` to before `end`.
bool explained(TreeCheck* check, std::int64_t first, std::int64_t end) {
    while (first < end) {
        std::span<SealedRange> ranges = read_sealed_ranges(*check->log, first, end, kBatch);
        for (const SealedRange& range : ranges) {
            CHECK_FOR_INTERRUPTS();
            std::int64_t skipped = std::max<std::int64_t>(first - range.first_leaf, 0);
            std::int64_t from = range.first_position + skipped;
            std::int64_t to =
                std::min(range.last_position, range.first_position + end - range.first_leaf - 1);
            if (overlaps_faulty_place(*check->faulty, {range.chain_id, from, to})) {
                return true;
            }
        }
        if (ranges.empty() || ranges.back().end_leaf() <= first) {
            return false;
        }
        first = ranges.back().end_leaf();
    }
    return false;
}

void end_mismatches(TreeCheck* check) {
    if (check->mismatches == 0) {
        return;
    }
    if (check->mismatches > 1) {
        check->mismatch.detail =
            psprintf(check->mismatches == 2 ? "%s; so is %lld checkpoint behind it"
                                            : "%s; so are %lld checkpoints behind it",
                     check->mismatch.detail, static_cast<long long>(check->mismatches - 1));
    }
    check->receiver->take(check->receiver->state, check->mismatch);
    check->mismatches = 0;
    check->reported = true;
}

// One violation for all mismatches in a row: a history rewritten from some entry on changes every
// tree from there.
void add_mismatch(TreeCheck* check, std::int64_t first_leaf, const char* detail) {
    if (check->mismatches++ > 0) {
        return;
    }
    check->mismatch = {nullptr, 0, name(Violation::checkpoint_mismatch), detail};
    std::span<SealedRange> ranges = read_sealed_ranges(*check->log, first_leaf, first_leaf + 1, 1);
    ChainName chain;
    if (!ranges.empty() && find_log_chain(check->log->id, ranges[0].chain_id, &chain)) {
        check->mismatch.chain = shown_chain(chain.key, chain.lane);
        check->mismatch.position = ranges[0].first_position + first_leaf - ranges[0].first_leaf;
    }
}

// Each checkpoint answers for the entries since the one before, from whose tree its own goes on:
// so several causes are told apart.
void check_tree(TreeCheck* check, const StoredCheckpoint& checkpoint, const Frontier& before) {
    auto first = static_cast<std::int64_t>(before.size());
    check->differs = false;
    read_to(check, checkpoint.size);
    Digest root;
    Sha256& hasher = sha256();
    barrier([&] { root = check->frontier.root(hasher); });
    if (checkpoint.sound && root == checkpoint.root) {
        end_mismatches(check);
        check->edited |= check->differs;
    } else if (!checkpoint.sound) {
        add_mismatch(
            check, first,
            psprintf("the checkpoint of %s is not as it was made", count_entries(checkpoint.size)));
    } else if (!explained(check, first, checkpoint.size)) {
        add_mismatch(check, first,
                     psprintf("the checkpoint of %s is of other entries than the log has "
                              "from here on",
                              count_entries(checkpoint.size)));
    }
    if (checkpoint.sound) {
        check->frontier = checkpoint.frontier;
    }
}

void check_trees(TreeCheck* check) {
    Frontier before;
    StoredCheckpoint last = {.size = 0, .incarnation = PG_INT32_MAX};  // of no entries is none
    for (;;) {
        std::span<StoredCheckpoint> checkpoints =
            read_checkpoints(*check->log, last.size, last.incarnation, check->end, kBatch);
        for (const StoredCheckpoint& checkpoint : checkpoints) {
            check_tree(check, checkpoint, before);
            before = check->frontier;
            last = checkpoint;
        }
        if (checkpoints.empty()) {
            break;
        }
        pfree(checkpoints.data());
    }
    end_mismatches(check);
}

// What is wrong with the newest checkpoint, and with what is stored of its tree, unless the
// checkpoints have shown that already.
void check_head(TreeCheck* check, const TreeHead& head, const char* fault) {
    if (!check->reported && fault == nullptr && check->edited) {
        fault = "stored hashes of the tree are not as they were made";
    }
    if (!check->reported && fault == nullptr) {
        fault = note_fault(*check->log, head);
    }
    if (!check->reported && fault != nullptr) {
        check->receiver->take(check->receiver->state,
                              {nullptr, 0, name(Violation::checkpoint_mismatch), fault});
    }
}

std::int32_t count_checkpoints(const Log& log) {
    query_catalog_as_seen("SELECT count(*)::integer FROM auditchain.checkpoint WHERE log_id = $1",
                          {uuid_arg(log.id)});
    bool null;
    return DatumGetInt32(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null));
}

}  // namespace

SealedPart verify_checkpoints(const Log& log, bool entries_intact, FaultyPlaces* faulty,
                              const ViolationReceiver& receiver) {
    TreeHead head = read_tree_head(log);
    const char* fault = reach_fault(log, head);
    if (!head.exists && fault == nullptr) {
        return {};
    }
    auto* check = new (palloc0(sizeof(TreeCheck))) TreeCheck{};
    check->log = &log;
    check->faulty = faulty;
    check->receiver = &receiver;
    check->end = read_newest_range(log).end_leaf();
    enter_phase("comparing checkpoints", check->end);
    read_chain_ends(log, {check_tail, check});
    // The quick way is by the entries alone.
    check->has_archives = has_archives(log);
    if (!entries_intact || check->has_archives || !tree_is_as_stored(log, check->end)) {
        enter_phase("comparing checkpoints", check->end);
        check->log_id = uuid_text(log.id);
        check->links = make_link_reader(log);
        check->context = AllocSetContextCreate(CurrentMemoryContext, "auditchain ranges",
                                               ALLOCSET_DEFAULT_SIZES);
        check_trees(check);
    }
    check_head(check, head, fault);
    return {count_checkpoints(log), head.size};
}

}  // namespace auditchain::pg
