#pragma once

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "digest.h"
#include "finding.h"
#include "leaf_range.h"
#include "sha256.h"

namespace auditchain {

/// One violation that a bundle shows.
struct BundleFinding {
    Violation kind{};
    std::string chain = {};     ///< its name; empty: the bundle as a whole
    std::int64_t position = 0;  ///< 0: none
    std::string detail = {};

    bool operator==(const BundleFinding&) const = default;
};

/// How many findings are kept: a forged bundle may have any number of them.
inline constexpr std::size_t kMaxBundleFindings = 1000;

/// Entries of one chain that follow each other without a gap.
struct ChainPart {
    std::int64_t first = 0;  ///< position
    std::int64_t last = 0;
    Digest previous;  ///< that the first names
    Checksums end;    ///< of the last
};

/// Parts of a chain, in the order in which they are read.
struct BundledChain {
    std::vector<ChainPart> parts;

    /// Put `next` behind what there is, as its continuation where its positions go on. Returns
    /// whether something is wrong with that, and what in `finding`, whose chain is left to the
    /// caller.
    bool append(const ChainPart& next, BundleFinding* finding);
};

/// Chains by their names.
using BundledChains = std::map<std::string, BundledChain, std::less<>>;

/// What one piece of a bundle's entries shows. Pieces can be looked at apart, and by several
/// threads.
struct BundleChunk {
    LeafRange leaves;
    BundledChains chains;
    std::vector<BundleFinding> findings;  ///< up to kMaxBundleFindings
    std::uint64_t more_findings = 0;      ///< that were not kept
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;      ///< of payloads
    bool leaves_in_order = true;  ///< each line begins at the leaf that the one before ended at
};

/// Look at the lines of a piece of a bundle's entries: recompute every checksum, and follow the
/// links.
/// Throws Malformed if a line is none, std::runtime_error if OpenSSL fails.
BundleChunk check_bundle_chunk(Sha256& sha256, std::string_view log_id, std::string_view text);

}  // namespace auditchain
