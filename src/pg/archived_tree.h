// The Merkle tree over archived entries, whose leaves cannot be computed any more.
//
// Complete subtrees of 256 leaves have stored hashes anyway (tree.h). Below these, wherever only
// part of such a block is archived, or a checkpoint ends within it, the hashes of the biggest
// subtrees that are archived as a whole and that no checkpoint divides are stored as well: at most
// 14 for each such boundary. With them the root of every checkpoint, and the proofs of all entries
// that are left, can be computed.
#pragma once

#include "pg/chain_links.h"
#include "pg/tree.h"

namespace auditchain::pg {

// Stores the hashes for the blocks that an archive has leaves in, before its entries go. SPI is
// connected; the active snapshot sees the archive, and its entries in the log.
void store_archived_hashes(const Log& log, std::int64_t archive);

// Leaves first to before end, none archived that is left out between two of them.
struct LeafRun {
    std::int64_t first;
    std::int64_t end;
};

// The first run of archived leaves among those from `first` to before `end`, as the active snapshot
// sees them; one of no leaves, at `end`, if there is none.
LeafRun find_archived_leaves(const Log& log, std::int64_t first, std::int64_t end);

// The hash of a complete subtree of less than 256 leaves, of which some are archived; false where
// it cannot be computed.
bool read_partly_archived(const Log& log, LinkReader* reader, const Subtree& subtree, Digest* hash);

// The biggest complete subtree that begins at a leaf and ends before `end`, of 256 leaves at most.
Subtree biggest_subtree(std::int64_t first, std::int64_t end);

}  // namespace auditchain::pg
