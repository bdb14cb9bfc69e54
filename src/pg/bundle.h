// Bundles: files that prove entries without the database (docs/bundle.md).
#pragma once

#include "pg/log.h"
#include "pg/tree.h"

namespace auditchain::pg {

// Entries of a chain at positions first..last.
struct PositionRange {
    std::int32_t chain_id;
    std::int64_t first;
    std::int64_t last;
};

// What a bundle is to have.
struct BundleRequest {
    // By chain_id and position, without overlaps. What of it is not sealed is left out.
    std::span<const PositionRange> ranges;
    const char* since;    // the period that was asked for, RFC 3339; nullptr: not bounded
    const char* until;    // the first moment behind it
    const char* context;  // JSON, UTF-8, for manifest.json: policy, holds; nullptr: none
    bool encrypted;       // for the key of auditchain.archive_key_file
};

// Takes the bytes of a bundle, at most a megabyte at a time. It may raise errors.
struct BundleSink {
    void (*take)(void* state, std::string_view bytes);
    void* state;
};

// Writes a bundle of entries of the tree that `head` is the head of, and returns how many it has.
// Its checkpoint may be unsigned; then so is the bundle. Where the log is not what was sealed, it
// is an error: then what the sink has is no bundle.
//
// SPI is connected, row security forbidden, and the caller's rights are checked. It reads in the
// active snapshot, which `head` must have been read in, too.
std::int64_t write_bundle(const Log& log, const TreeHead& head, const BundleRequest& request,
                          const BundleSink& sink);

// The rows of the query that SPI ran last, (chain_id, first, last), as ranges: palloc'd.
std::span<PositionRange> read_position_ranges();

// All sealed entries, as ranges: palloc'd. SPI is connected.
std::span<PositionRange> sealed_positions(const Log& log);

}  // namespace auditchain::pg
