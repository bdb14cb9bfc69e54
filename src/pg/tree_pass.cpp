#include "pg/tree_pass.h"

#include "core/leaf.h"
#include "pg/barrier.h"
#include "pg/checksum_reader.h"
#include "pg/entry.h"
#include "pg/incarnation.h"
#include "pg/progress.h"
#include "pg/tree.h"

extern "C" {
#include <access/parallel.h>
#include <miscadmin.h>
#include <port/atomics.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

// Each process takes parts of the tree, one by one. A part begins with the frontier that the stored
// hashes give, which are those that the parts before it are compared with.
constexpr std::int64_t kPart = 1 << 15;
constexpr std::int64_t kStoredLeaves = 1
                                       << kStoredLevels;  // below each of the lowest stored hashes
constexpr std::int64_t kBatch = 1000;
constexpr std::uint64_t kPassKey = 1;  // in the workers' table of contents

// What the leader and its workers share; in the leader's memory if there are no workers.
struct SharedTree {
    Oid log;
    std::int64_t end;
    int progress;
    pg_atomic_uint64 next;     // leaf where the next part begins
    pg_atomic_uint32 differs;  // something is not as stored: the others need not go on
};

// Names of the chains met last, each in the one place that its number has.
struct NamedChain {
    std::int32_t chain;
    char* name;
};
constexpr std::size_t kNames = 4096;

// One process's work.
struct TreePass {
    const Log* log;
    const char* log_id;
    SharedTree* shared;
    ChecksumReader* checksums;
    MemoryContext context;  // of a part
    MemoryContext names_context;
    NamedChain names[kNames];
    std::int64_t part_end;
    Frontier frontier;
    std::span<SealedRange> ranges;  // the next ones
    std::size_t range;              // that is being read
    Digest stored[kPart / kStoredLeaves];
    std::int64_t first_stored;  // number of the subtree that stored[0] is of
    Digest hashes[kStoredLeaves];
};

std::int64_t leaves_of(const TreePass& pass) {
    return static_cast<std::int64_t>(pass.frontier.size());
}

// nullptr for a chain of another log.
const char* name_of(TreePass* pass, std::int32_t chain) {
    NamedChain& place = pass->names[static_cast<std::uint32_t>(chain) % kNames];
    if (place.chain != chain || place.name == nullptr) {
        if (place.name != nullptr) {
            pfree(place.name);
        }
        ChainName name;
        bool ours = find_log_chain(pass->log->id, chain, &name);
        MemoryContext caller = MemoryContextSwitchTo(pass->names_context);
        place = {chain, ours ? chain_name(name.key, name.lane) : nullptr};
        MemoryContextSwitchTo(caller);
    }
    return place.name;
}

// Goes to the range that the next leaf is in; false unless it follows the one before.
bool find_range(TreePass* pass) {
    std::int64_t leaf = leaves_of(*pass);
    bool first = pass->ranges.empty();
    if (!first && leaf < pass->ranges[pass->range].end_leaf()) {
        return true;
    }
    if (first || ++pass->range == pass->ranges.size()) {
        // One that begins where the part ends must not overlap, too.
        pass->ranges = read_sealed_ranges(*pass->log, leaf, pass->part_end + 1, kBatch);
        pass->range = 0;
        for (std::size_t i = 1; i < pass->ranges.size(); i++) {
            if (pass->ranges[i].first_leaf != pass->ranges[i - 1].end_leaf()) {
                return false;
            }
        }
    }
    if (pass->ranges.empty()) {
        return false;
    }
    const SealedRange& range = pass->ranges[pass->range];
    if (range.first_leaf > leaf || range.end_leaf() <= leaf ||
        (!first && range.first_leaf != leaf)) {
        return false;
    }
    seek_checksum(pass->checksums, range.chain_id, range.first_position + leaf - range.first_leaf);
    return true;
}

bool is_stored(TreePass* pass, const SubtreeHash& computed) {
    const Subtree& subtree = computed.subtree;
    if (subtree.level == kStoredLevels) {
        return computed.hash ==
               pass->stored[static_cast<std::int64_t>(subtree.index) - pass->first_stored];
    }
    Digest stored;
    return read_stored_hashes(*pass->log, {subtree.level, subtree.index, 1}, &stored) &&
           computed.hash == stored;
}

// Appends the next leaves: of one range, of one of the lowest stored subtrees, and not beyond
// `end`.
bool append_leaves(TreePass* pass, std::int64_t end) {
    if (!find_range(pass)) {
        return false;
    }
    const SealedRange& range = pass->ranges[pass->range];
    const char* chain = name_of(pass, range.chain_id);
    std::int64_t leaf = leaves_of(*pass);
    std::int64_t count =
        std::min({range.end_leaf(), end, (leaf / kStoredLeaves + 1) * kStoredLeaves}) - leaf;
    for (std::int64_t i = 0; i < count; i++) {
        if (chain == nullptr || !read_checksum(pass->checksums, &pass->hashes[i])) {
            return false;
        }
    }
    std::span<Digest> hashes(pass->hashes, static_cast<std::size_t>(count));
    Sha256& hasher = sha256();
    std::span<const SubtreeHash> completed;  // by the last leaf, if any
    barrier([&] {
        hash_leaves(hasher, pass->log_id, chain, range.first_position + leaf - range.first_leaf,
                    hashes);
        for (const Digest& hash : hashes) {
            completed = pass->frontier.append(hasher, hash);
        }
    });
    advance_progress(pass->shared->progress, count);
    return std::all_of(completed.begin(), completed.end(),
                       [pass](const SubtreeHash& computed) { return is_stored(pass, computed); });
}

bool append_to(TreePass* pass, std::int64_t end) {
    while (leaves_of(*pass) < end) {
        CHECK_FOR_INTERRUPTS();
        if (pg_atomic_read_u32(&pass->shared->differs) != 0 || !append_leaves(pass, end)) {
            return false;
        }
    }
    return true;
}

bool read_stored(TreePass* pass, std::int64_t first) {
    pass->first_stored = first / kStoredLeaves;
    auto count = static_cast<std::uint64_t>((pass->part_end - first) / kStoredLeaves);
    return count == 0 ||
           read_stored_hashes(
               *pass->log, {kStoredLevels, static_cast<std::uint64_t>(pass->first_stored), count},
               pass->stored);
}

// Whether the part from this leaf on is as stored.
bool check_part(TreePass* pass, std::int64_t first) {
    pass->part_end = std::min(first + kPart, pass->shared->end);
    pass->ranges = {};
    if (!make_frontier(*pass->log, nullptr, first, &pass->frontier) || !read_stored(pass, first)) {
        return false;
    }
    StoredCheckpoint last = {.size = first, .incarnation = PG_INT32_MAX};
    for (;;) {
        std::span<StoredCheckpoint> checkpoints =
            read_checkpoints(*pass->log, last.size, last.incarnation, pass->part_end, kBatch);
        for (const StoredCheckpoint& checkpoint : checkpoints) {
            if (!checkpoint.sound || !append_to(pass, checkpoint.size)) {
                return false;
            }
            Digest root;
            Sha256& hasher = sha256();
            barrier([&] { root = pass->frontier.root(hasher); });
            if (root != checkpoint.root) {
                return false;
            }
            last = checkpoint;
        }
        if (checkpoints.empty()) {
            return append_to(pass, pass->part_end);
        }
        pfree(checkpoints.data());
    }
}

// One process's share of the tree. SPI is connected.
void check_parts(const Log& log, SharedTree* shared) {
    auto* pass = new (palloc0(sizeof(TreePass))) TreePass{};
    pass->log = &log;
    pass->log_id = uuid_text(log.id);
    pass->shared = shared;
    pass->names_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain names", ALLOCSET_DEFAULT_SIZES);
    pass->context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain part", ALLOCSET_DEFAULT_SIZES);
    pass->checksums = open_checksums(log);
    bool as_stored = pass->checksums != nullptr;
    while (as_stored) {
        auto first = static_cast<std::int64_t>(pg_atomic_fetch_add_u64(&shared->next, kPart));
        if (first >= shared->end) {
            break;
        }
        MemoryContext caller = MemoryContextSwitchTo(pass->context);
        as_stored = check_part(pass, first);
        MemoryContextSwitchTo(caller);
        MemoryContextReset(pass->context);
    }
    if (!as_stored) {
        pg_atomic_write_u32(&shared->differs, 1);
    }
    if (pass->checksums != nullptr) {
        close_checksums(pass->checksums);
    }
    MemoryContextDelete(pass->context);
    MemoryContextDelete(pass->names_context);
    pfree(pass);
}

void init_shared(SharedTree* shared, const Log& log, std::int64_t end) {
    shared->log = log.relation;
    shared->end = end;
    shared->progress = progress_slot();
    pg_atomic_init_u64(&shared->next, 0);
    pg_atomic_init_u32(&shared->differs, 0);
}

bool check_with_workers(const Log& log, std::int64_t end, int workers) {
    EnterParallelMode();
    ParallelContext* context =
        CreateParallelContext("$libdir/auditchain", "auditchain_tree_worker", workers);
    shm_toc_estimate_chunk(&context->estimator, sizeof(SharedTree));
    shm_toc_estimate_keys(&context->estimator, 1);
    InitializeParallelDSM(context);
    auto* shared = static_cast<SharedTree*>(shm_toc_allocate(context->toc, sizeof(SharedTree)));
    init_shared(shared, log, end);
    shm_toc_insert(context->toc, kPassKey, shared);
    LaunchParallelWorkers(context);
    check_parts(log, shared);
    WaitForParallelWorkersToFinish(context);
    bool as_stored = pg_atomic_read_u32(&shared->differs) == 0;
    DestroyParallelContext(context);
    ExitParallelMode();
    return as_stored;
}

bool check_alone(const Log& log, std::int64_t end) {
    SharedTree shared;
    init_shared(&shared, log, end);
    check_parts(log, &shared);
    return pg_atomic_read_u32(&shared.differs) == 0;
}

}  // namespace

bool tree_is_as_stored(const Log& log, std::int64_t end) {
    Leaves leaves = open_leaves(log);
    auto workers = static_cast<int>(
        std::min<std::int64_t>(worker_count(leaves), std::max<std::int64_t>(end - 1, 0) / kPart));
    close_leaves(leaves);
    return workers > 0 ? check_with_workers(log, end, workers) : check_alone(log, end);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

extern "C" AUDITCHAIN_EXPORT void auditchain_tree_worker(dsm_segment* segment, shm_toc* toc);

// Runs in each worker of a pass: see LaunchParallelWorkers in access/transam/parallel.c.
void auditchain_tree_worker(dsm_segment*, shm_toc* toc) {
    auto* shared = static_cast<SharedTree*>(shm_toc_lookup(toc, kPassKey, false));
    SPI_connect();
    check_parts(require_log(shared->log), shared);
    SPI_finish();
}
