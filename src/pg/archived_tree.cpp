#include "pg/archived_tree.h"

#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/incarnation.h"

#include <bit>

extern "C" {
#include <miscadmin.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

constexpr int kHeight = kStoredLevels;
constexpr int kLeaves = 1 << kHeight;
constexpr std::int64_t kBatch = 1000;

// A complete subtree of 256 leaves, as a heap: node 1 is the root, the children of node n are 2n
// and 2n + 1, so that the leaves are 256 to 511.
struct Block {
    std::int64_t first;  // leaf of the tree
    bool known[2 * kLeaves];
    bool archived[kLeaves];
    bool divided[2 * kLeaves];  // a checkpoint ends within this subtree
    Digest hashes[2 * kLeaves];
};

int node_of(int level, std::int64_t index) {
    int width = 1 << (kHeight - level);
    return width + static_cast<int>(index & (width - 1));
}

int level_of(int node) {
    return kHeight + 1 - std::bit_width(static_cast<unsigned>(node));
}

int first_leaf_of(int node) {
    int level = level_of(node);
    return (node << level) - kLeaves;
}

Datum result(std::uint64_t row, int column) {
    bool null;
    return SPI_getbinval(SPI_tuptable->vals[row], SPI_tuptable->tupdesc, column, &null);
}

// The hashes of subtrees that are archived.
void read_archived_nodes(const Log& log, Block* block) {
    query_catalog_as_seen(
        "SELECT t.level, t.index, t.hash FROM generate_series(0, 7) AS l(level) "
        "JOIN auditchain.tree_hash AS t ON t.log_id = $1 AND t.level = l.level::smallint "
        "AND t.index >= $2 >> l.level AND t.index < ($2 + 256) >> l.level",
        {uuid_arg(log.id), {INT8OID, Int64GetDatum(block->first)}});
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        int node = node_of(DatumGetInt16(result(i, 1)), DatumGetInt64(result(i, 2)));
        block->known[node] = read_digest(result(i, 3), &block->hashes[node]);
    }
    SPI_freetuptable(SPI_tuptable);
}

// The leaves whose entries are in the log.
void read_leaves(const Log& log, LinkReader* reader, Block* block) {
    const char* log_id = uuid_text(log.id);
    for (const SealedRange& range :
         read_sealed_ranges(log, block->first, block->first + kLeaves, kLeaves)) {
        ChainName name;
        if (!find_log_chain(log.id, range.chain_id, &name)) {
            continue;
        }
        const char* chain = chain_name(name.key, name.lane);
        std::int64_t offset = range.first_leaf - block->first - range.first_position;
        std::int64_t first = std::max(range.first_position, -offset);
        std::int64_t last = std::min(range.last_position, kLeaves - 1 - offset);
        begin_links(reader, range.chain_id, first, last);
        ChainLink link;
        while (next_link(reader, &link)) {
            int node = kLeaves + static_cast<int>(link.position + offset);
            block->hashes[node] = leaf_hash_of(log_id, chain, link.position, link.checksum);
            block->known[node] = true;
        }
    }
}

// Computes the hash of a node from those below it; false where one is not known.
bool compute(Block* block, int node) {
    if (block->known[node]) {
        return true;
    }
    if (node >= kLeaves || !compute(block, 2 * node) || !compute(block, 2 * node + 1)) {
        return false;
    }
    Sha256& hasher = sha256();
    barrier([&] {
        block->hashes[node] =
            node_hash(hasher, block->hashes[2 * node], block->hashes[2 * node + 1]);
    });
    block->known[node] = true;
    return true;
}

void find_archived(const Log& log, Block* block) {
    std::int64_t end = block->first + kLeaves;
    for (std::int64_t at = block->first; at < end;) {
        LeafRun run = find_archived_leaves(log, at, end);
        for (std::int64_t leaf = run.first; leaf < run.end; leaf++) {
            block->archived[leaf - block->first] = true;
        }
        at = std::max(run.end, at + 1);
    }
}

void find_divided(const Log& log, Block* block) {
    query_catalog(
        "SELECT DISTINCT tree_size FROM auditchain.checkpoint "
        "WHERE log_id = $1 AND tree_size > $2 AND tree_size < $2 + 256",
        {uuid_arg(log.id), {INT8OID, Int64GetDatum(block->first)}});
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        auto leaf = static_cast<int>(DatumGetInt64(result(i, 1)) - block->first);
        // Divided are the subtrees that have the leaves on both sides.
        for (int left = leaf - 1 + kLeaves, right = leaf + kLeaves; left > 0;
             left /= 2, right /= 2) {
            if (left == right) {
                block->divided[left] = true;
            }
        }
    }
    SPI_freetuptable(SPI_tuptable);
}

void store_node(const Log& log, Block* block, int node) {
    if (!compute(block, node)) {
        refuse_damaged_tree(log, "Entries that are to be archived are not there to be hashed.");
    }
    int level = level_of(node);
    store_subtree_hash(
        log, {{level, static_cast<std::uint64_t>((block->first + first_leaf_of(node)) >> level)},
              block->hashes[node]});
}

// Stores the biggest subtrees below a node that are archived as a whole.
void store_below(const Log& log, Block* block, int node) {
    bool* first = block->archived + first_leaf_of(node);
    bool* end = first + (std::size_t{1} << level_of(node));
    if (std::find(first, end, true) == end) {
        return;
    }
    if (block->divided[node] || std::find(first, end, false) != end) {
        store_below(log, block, 2 * node);
        store_below(log, block, 2 * node + 1);
    } else if (node > 1) {  // the root is stored since it was complete
        store_node(log, block, node);
    }
}

void store_block(const Log& log, LinkReader* reader, std::int64_t first) {
    auto* block = static_cast<Block*>(palloc0(sizeof(Block)));
    block->first = first;
    find_archived(log, block);
    find_divided(log, block);
    bool whole =
        std::find(block->archived, block->archived + kLeaves, false) == block->archived + kLeaves;
    read_archived_nodes(log, block);
    if (!whole || block->divided[1]) {
        read_leaves(log, reader, block);
    }
    change_catalog(
        "DELETE FROM auditchain.tree_hash AS t USING generate_series(0, 7) AS l(level) "
        "WHERE t.log_id = $1 AND t.level = l.level::smallint "
        "AND t.index >= $2 >> l.level AND t.index < ($2 + 256) >> l.level",
        {uuid_arg(log.id), {INT8OID, Int64GetDatum(first)}});
    store_below(log, block, 1);
}

}  // namespace

void store_archived_hashes(const Log& log, std::int64_t archive) {
    query_catalog(
        "SELECT DISTINCT block FROM auditchain.archive_range AS r "
        "JOIN auditchain.sealed_range AS s ON s.log_id = r.log_id AND s.chain_id = r.chain_id "
        "AND s.first_position <= r.last_position AND s.last_position >= r.first_position, "
        "generate_series((s.first_leaf + greatest(r.first_position - s.first_position, 0)) >> 8, "
        "(s.first_leaf + least(r.last_position, s.last_position) - s.first_position) >> 8) "
        "AS block WHERE r.archive_id = $1 ORDER BY block",
        {{INT8OID, Int64GetDatum(archive)}});
    SPITupleTable* blocks = SPI_tuptable;
    LinkReader* reader = make_link_reader(log);
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain block", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    for (std::uint64_t i = 0; i < blocks->numvals; i++) {
        CHECK_FOR_INTERRUPTS();
        bool null;
        std::int64_t block =
            DatumGetInt64(SPI_getbinval(blocks->vals[i], blocks->tupdesc, 1, &null));
        store_block(log, reader, block << kHeight);
        MemoryContextReset(context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

LeafRun find_archived_leaves(const Log& log, std::int64_t first, std::int64_t end) {
    LeafRun run = {end, end};
    for (std::uint64_t count = kBatch; count == kBatch && first < end;) {
        query_catalog_as_seen(
            "SELECT s.first_leaf + greatest(r.first_position - s.first_position, 0), "
            "s.first_leaf + least(r.last_position, s.last_position) - s.first_position + 1 "
            "FROM (SELECT * FROM auditchain.sealed_range WHERE log_id = $1 AND first_leaf >= "
            "coalesce((SELECT max(first_leaf) FROM auditchain.sealed_range WHERE log_id = $1 "
            "AND first_leaf <= $2), 0) AND first_leaf < $3) AS s "
            "JOIN auditchain.archive_range AS r ON r.log_id = s.log_id "
            "AND r.chain_id = s.chain_id AND r.first_position <= s.last_position "
            "AND r.last_position >= s.first_position WHERE s.first_leaf + "
            "least(r.last_position, s.last_position) - s.first_position >= $2 "
            "ORDER BY 1 LIMIT $4",
            {uuid_arg(log.id),
             {INT8OID, Int64GetDatum(first)},
             {INT8OID, Int64GetDatum(end)},
             {INT8OID, Int64GetDatum(kBatch)}});
        count = SPI_processed;
        for (std::uint64_t i = 0; i < count; i++) {
            std::int64_t from = std::max(DatumGetInt64(result(i, 1)), first);
            std::int64_t to = std::min(DatumGetInt64(result(i, 2)), end);
            if (to <= from) {
                break;  // behind the end
            }
            if (run.first == run.end) {
                run = {from, to};
            } else if (from > run.end) {
                SPI_freetuptable(SPI_tuptable);
                return run;
            }
            run.end = std::max(run.end, to);
        }
        SPI_freetuptable(SPI_tuptable);
        first = run.end;
    }
    return run;
}

bool read_partly_archived(const Log& log, LinkReader* reader, const Subtree& subtree,
                          Digest* hash) {
    auto* block = static_cast<Block*>(palloc0(sizeof(Block)));
    block->first = static_cast<std::int64_t>(subtree.index << subtree.level >> kHeight << kHeight);
    read_archived_nodes(log, block);
    read_leaves(log, reader, block);
    int node = node_of(subtree.level, static_cast<std::int64_t>(subtree.index));
    bool computed = compute(block, node);
    *hash = block->hashes[node];
    pfree(block);
    return computed;
}

Subtree biggest_subtree(std::int64_t first, std::int64_t end) {
    auto leaf = static_cast<std::uint64_t>(first);
    auto count = static_cast<std::uint64_t>(end - first);
    int level =
        std::min({std::countr_zero(leaf), static_cast<int>(std::bit_width(count)) - 1, kHeight});
    return {level, leaf >> level};
}

}  // namespace auditchain::pg
