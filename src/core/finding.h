// What verification finds, as the walk along the chains tells it and explain() weighs it.
#pragma once

#include <cstdint>

#include "digest.h"

namespace auditchain {

/// What verification can find; docs/reference says what each means to an auditor.
enum class Violation : std::uint8_t {
    content_modified,
    link_broken,
    entry_missing,
    entry_duplicated,
    head_missing,
    tail_missing,
    checkpoint_mismatch,
    receipt_invalid,
    key_mismatch,
    incarnation_changed,
    guard_disabled,
    archive_mismatch,
};

/// Return the kind as SQL shows it, such as "content_modified".
const char* name(Violation violation) noexcept;

/// The checksum of an entry as it is stored, and as it is computed anew from its previous checksum
/// and payload. They differ only if the entry was modified; then either may be the true one.
struct Checksums {
    Digest stored;
    Digest computed;

    bool has(const Digest& checksum) const { return checksum == stored || checksum == computed; }
};

/// One violation, at positions first..last of its chain.
struct Finding {
    Violation kind{};
    bool has_row = false;  ///< false for a gap
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::uint64_t row = 0;  ///< Entry::row of the entry found or, for a gap, of the entry behind
                            ///< it; kArchivedRow where that is archived

    std::int64_t chain = 0;  ///< the reader's own number of the chain; left to the reader

    // For explain(), of the entry found or, for a gap, of the entry behind it:
    bool content_intact = false;  ///< its checksum covers its previous checksum and payload
    Digest own;                   ///< its stored checksum
    Digest expected;              ///< its stored previous checksum: what it expects to follow

    // Also for explain(). The run of an entry is the entry and those that follow it, one naming the
    // other, up to the next break, gap or change of key.
    bool explainable = false;      ///< may be a consequence of another violation
    bool behind_modified = false;  ///< the entry before it is content_modified, its checksum lost
    Checksums before{};            ///< of the entry before it
    Checksums end{};               ///< of the last entry of its run
    std::int64_t length = 0;       ///< of its run, in positions; 0 if it explains nothing
};

/// Make the finding part of the run before it and return true, if both are of entries side by side
/// in one chain whose receipts are invalid, and of nothing else: a chain that was computed anew
/// from one position on is one violation.
bool extend_run(Finding& run, const Finding& next) noexcept;

}  // namespace auditchain
