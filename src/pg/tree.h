// The Merkle tree over a log's sealed entries: which entry is which leaf, and the hashes of
// subtrees. Those of 256, 65536 … leaves are stored (sql/checkpoint.sql), others are computed.
#pragma once

#include "core/merkle.h"
#include "pg/chain_links.h"
#include "pg/log.h"

namespace auditchain::pg {

// The newest tree of a log, as its newest checkpoint has it. SPI is connected.
struct TreeHead {
    std::int64_t size;  // how many entries it covers
    Frontier frontier;
    Digest root;  // of the tree without leaves, if the log has no checkpoint
    bool exists;  // the log has a checkpoint
    bool sound;   // the frontier fits size and root; else it is that of no leaves
    std::int32_t incarnation;
    char* note;          // nullptr: not signed; palloc'd
    char* verifier_key;  // nullptr: not signed; palloc'd
};
TreeHead read_tree_head(const Log& log);

// What is wrong with a head where the sealed ranges reach further, or less far; nullptr: nothing.
const char* reach_fault(const Log& log, const TreeHead& head);

// The newest tree, with an error where something is wrong with its head.
TreeHead require_tree_head(const Log& log);

// The same, with an error where there is none, or it is not signed.
TreeHead require_signed_head(const Log& log);

// Reads the frontier of a checkpoint; false, and that of no leaves, where it does not fit.
bool read_frontier(std::int64_t size, const bytea* stored, const Digest& root, Frontier* frontier);

// A checkpoint on record.
struct StoredCheckpoint {
    std::int64_t size = 0;
    std::int32_t incarnation = 0;
    Digest root{};
    Frontier frontier{};
    bool sound = false;  // the frontier fits size and root
};

// The checkpoints, by size, that are behind one of this size and incarnation and not of more than
// `end` entries; palloc'd, at most `limit`.
std::span<StoredCheckpoint> read_checkpoints(const Log& log, std::int64_t size,
                                             std::int32_t incarnation, std::int64_t end,
                                             std::int64_t limit);

// The leaf hash of the entry at a place of a chain.
Digest leaf_hash_of(const char* log_id, const char* chain, std::int64_t position,
                    const Digest& checksum);

// The name of a chain, UTF-8, palloc'd.
char* chain_name(std::string_view key, int lane);

// Entries `first_position` to `last_position` of a chain are the leaves from first_leaf on.
struct SealedRange {
    std::int64_t first_leaf;
    std::int32_t chain_id;
    std::int64_t first_position;
    std::int64_t last_position;
    std::int64_t end_leaf() const { return first_leaf + last_position - first_position + 1; }
};

// The ranges that leaves from `first` to before `end` are in, palloc'd, at most `limit`.
std::span<SealedRange> read_sealed_ranges(const Log& log, std::int64_t first, std::int64_t end,
                                          std::int64_t limit);

// The last range of all; chain_id 0: none.
SealedRange read_newest_range(const Log& log);

// The leaf of an entry; -1 where it is not sealed.
std::int64_t find_leaf(const Log& log, std::int32_t chain_id, std::int64_t position);

// The newest position of a chain that the tree of this size has; 0: none.
std::int64_t sealed_position(const Log& log, std::int32_t chain_id, std::int64_t tree_size);

// The hashes of subtrees at a stored level; false when one is missing.
bool read_stored_hashes(const Log& log, const SubtreeRun& run, Digest* hashes);

// The hash of a complete subtree of the sealed tree; false when an entry below it, or a stored
// hash, is missing.
bool read_subtree_hash(const Log& log, LinkReader* reader, const Subtree& subtree, Digest* hash);

// The frontier of the sealed tree's first `size` leaves, by the stored hashes and, for what is left
// of 256 leaves, by the entries; false when one of them is missing.
bool make_frontier(const Log& log, LinkReader* reader, std::int64_t size, Frontier* frontier);

[[noreturn]] void refuse_damaged_tree(const Log& log, const char* detail);

// Stores the hash of a subtree at a stored level.
void store_subtree_hash(const Log& log, const SubtreeHash& hash);

}  // namespace auditchain::pg
