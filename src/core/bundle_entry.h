#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "digest.h"
#include "merkle.h"
#include "receipt.h"

namespace auditchain {

// The lines of a bundle's entries, in the order of leaves (docs/bundle.md). Each is an entry,
//
//     {"leaf":0,"chain":"[]/0","position":1,"previous_checksum":"…","checksum":"…","payload":"…"}
//
// with "receipt":"…" before the payload where it has one, or stands for leaves that are not in the
// bundle, 2^n of them:
//
//     {"leaf":256,"leaves":256,"hash":"…"}

/// An entry in a bundle. The texts belong to somebody else.
struct BundledEntry {
    std::uint64_t leaf = 0;
    std::string_view chain;  ///< its name
    std::int64_t position = 0;
    Digest previous;
    Digest checksum;
    std::optional<Receipt> receipt;
    std::string_view payload;
};

/// Append the entry as a line.
void append_entry_line(std::string& out, const BundledEntry& entry);

/// Append a subtree that is not in the bundle as a line.
void append_subtree_line(std::string& out, const SubtreeHash& subtree);

/// A line: an entry, or else a subtree. Reading the next reuses the memory of its texts.
struct BundleLine {
    bool is_entry = false;
    BundledEntry entry;  ///< the chain as it is escaped; the payload unescaped
    SubtreeHash subtree;
    std::string payload;  ///< what entry.payload refers to
};

/// Read a line, without its newline. Throws Malformed if it is none, or not as it would be written.
void parse_bundle_line(std::string_view text, BundleLine* line);

}  // namespace auditchain
