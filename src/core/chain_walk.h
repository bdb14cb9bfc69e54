#pragma once

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "digest.h"
#include "sha256.h"

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
};

/// Return the kind as SQL shows it, such as "content_modified".
const char* name(Violation violation) noexcept;

/// One stored entry, as the reader found it.
struct Entry {
    std::int64_t position;
    Digest previous;           ///< stored previous_checksum
    Digest checksum;           ///< stored checksum
    std::string_view payload;  ///< serialised anew from the row; need not outlive the call
    bool key_matches;          ///< the row's key is that of its chain
    std::uint64_t row;         ///< the reader's own handle, handed back in findings
};

/// One violation, at positions first..last of its chain.
struct Finding {
    Violation kind{};
    std::int64_t first = 0;
    std::int64_t last = 0;
    std::uint64_t row = 0;  ///< Entry::row of the entry found or, for a gap, of the entry behind it
    bool has_row = false;   ///< false for a gap

    // For explain(), of the entry found or, for a gap, of the entry behind it:
    bool content_intact = false;  ///< its checksum covers its previous checksum and payload
    Digest own;                   ///< its stored checksum
    Digest expected;              ///< its stored previous checksum: what it expects to follow

    std::int64_t chain = 0;  ///< the reader's own number of the chain; left to the reader
};

/// The most findings one call of ChainWalk returns.
inline constexpr std::size_t kMaxFindings = 2;

/// Classifies the entries of one chain after another, each read in position order.
///
/// One cause gives one violation: an edited entry is found where it stands and not again at its
/// follower, a gap is one finding, and so is a run of foreign entries, or two runs swapped.
/// Of several rows at one position one is the representative, which the walk goes on from: the
/// first that is fine, or else the first. Every other is one entry_duplicated.
///
/// Memory is constant. Findings come in position order, but for the duplicates of a position,
/// which come before its other findings, as those wait until the position is over.
class ChainWalk {
  public:
    /// The hasher must outlive the walk.
    explicit ChainWalk(Sha256& sha256) : sha256_(&sha256) {}

    /// Forget the chain before and start at genesis.
    void begin_chain();

    /// Take the next entry, at the same or a greater position, and return how many findings have
    /// been written to out. Throws std::runtime_error if OpenSSL fails.
    std::size_t next(const Entry& entry, Finding out[kMaxFindings]);

    /// End the chain and return how many findings of its newest position were written to out.
    std::size_t end_chain(Finding out[kMaxFindings]);

  private:
    enum class Link : std::uint8_t {
        chained,   ///< names its predecessor
        resumed,   ///< names the entry that a break of the chain left off at
        unknown,   ///< its predecessor is missing
        spanning,  ///< its predecessor is missing, and it names the entry before the gap
        broken,
    };

    /// What the follower of an entry may name as its previous checksum without fault of its own.
    struct Tail {
        Digest stored;
        Digest recomputed;  ///< differs if the stored checksum was edited
        Digest twin;        ///< of another fine row at the same position

        bool names(const Digest& previous) const {
            return previous == stored || previous == recomputed || previous == twin;
        }
    };

    /// One row, judged. Default-constructed: genesis, at position 0.
    struct Row {
        Finding finding;  ///< its kind counts only if the row is not fine
        Tail tail;
        Link link = Link::chained;
        bool fine = true;

        /// How well the row represents its position.
        int rank() const { return fine ? (link == Link::spanning ? 1 : 2) : 0; }
    };

    Row judge(const Entry& entry);
    Link link_of(const Entry& entry) const;
    std::size_t end_position(Finding out[kMaxFindings]);
    void move_anchor();

    Sha256* sha256_;
    Row predecessor_;             ///< representative of the position before
    Row representative_;          ///< of the position being read
    std::optional<Tail> anchor_;  ///< where the newest break left off, to go on from once
    bool resumed_ = false;        ///< anchor_ was gone on from, and is now where that left off
};

/// Drop the findings that are consequences of others, keep the order of the rest, and return how
/// many remain, which is at least one if there were any. Takes the findings of all chains of a
/// log at once, since an entry may have been moved from one to another.
/// Throws std::bad_alloc.
std::size_t explain(std::span<Finding> findings);

}  // namespace auditchain
