#pragma once

#include <array>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string_view>

#include "digest.h"
#include "finding.h"
#include "sha256.h"

namespace auditchain {

/// What the reader knows of an entry's receipt.
enum class ReceiptState : std::uint8_t {
    unchecked,  ///< nothing: the log has none, or there is no key to check it with
    valid,
    invalid,
};

/// One stored entry, as the reader found it.
struct Entry {
    std::int64_t position;
    Digest previous;           ///< stored previous_checksum
    Digest checksum;           ///< stored checksum
    std::string_view payload;  ///< serialised anew from the row; need not outlive the call
    bool key_matches;          ///< the row's key is that of its chain
    std::uint64_t row;         ///< the reader's own handle, handed back in findings
    ReceiptState receipt = ReceiptState::unchecked;
};

/// Entries side by side that are in an archive: known by the checksums at their two ends only.
struct ArchivedEntries {
    std::int64_t first;
    std::int64_t last;
    Digest previous;  ///< that the first entry follows
    Digest checksum;  ///< of the last entry
};

/// What a finding has in place of a row where that is archived.
inline constexpr std::uint64_t kArchivedRow = ~std::uint64_t{0};

/// The most findings one call of ChainWalk returns.
inline constexpr std::size_t kMaxFindings = 4;

/// Classifies the entries of one chain after another, each read in position order.
///
/// One cause gives one violation: an edited entry is found where it stands and not again at its
/// follower, a gap is one finding, and so is a run of foreign entries, or two runs swapped. What
/// takes more than one look at the chain, and entries that went from one chain to another, is left
/// to explain().
///
/// Of several rows at one position one holds it; every other is one entry_duplicated. Which one
/// does not depend on the order they are read in, unless they are the same. The next entry may
/// name any of them, of the first kMaxRows.
///
/// An entry is receipt_invalid only if nothing else is wrong with it, nor is it part of a run that
/// stands where it does not belong: receipts are of their places. The entry behind it, if its own
/// receipt is valid, is not to blame for naming another predecessor.
///
/// Memory is constant. A break, a gap or a foreign key is returned when its run is over, so after
/// other findings of the same run; explain() puts all in order.
class ChainWalk {
  public:
    /// The hasher must outlive the walk.
    explicit ChainWalk(Sha256& sha256) : sha256_(&sha256) {}

    /// Forget the chain before and start at genesis.
    void begin_chain();

    /// Take the next entry, at the same or a greater position, and return how many findings have
    /// been written to out. Throws std::runtime_error if OpenSSL fails.
    ///
    /// An entry at a position below 1 stands nowhere: it is link_broken, and may come at any time.
    std::size_t next(const Entry& entry, Finding out[kMaxFindings]);

    /// Take entries that are in an archive, as if they were one long entry. They come in the order
    /// of their first positions, before an entry that stands at one of theirs: that has no business
    /// there. What of them an entry or archive before has taken is passed over.
    std::size_t next(ArchivedEntries archived, Finding out[kMaxFindings]);

    /// End the chain and return how many findings of its end were written to out.
    std::size_t end_chain(Finding out[kMaxFindings]);

  private:
    static constexpr std::size_t kMaxRows = 8;

    /// How an entry is linked to the position before, the best first.
    enum class Link : std::uint8_t {
        chained,   ///< names its predecessor
        vouched,   ///< does not, but its receipt is valid and its predecessor's is not
        resumed,   ///< names the entry that a break of the chain left off at
        unknown,   ///< its predecessor is missing
        spanning,  ///< its predecessor is missing, and it names the entry before the gap
        broken,
    };

    /// One row, judged. Default-constructed: genesis, at position 0.
    struct Row {
        Finding finding{};  ///< its kind counts only if the row is not fine
        Link link = Link::chained;
        bool fine = true;
        bool key_matches = true;
        ReceiptState receipt = ReceiptState::unchecked;

        /// Nothing is wrong with it but its receipt.
        bool only_receipt_is_wrong() const {
            return !fine && finding.kind == Violation::receipt_invalid;
        }
        bool better_than(const Row& other) const;
    };

    /// What an entry may name as its previous checksum: that of any row of a position.
    struct Tail {
        std::array<Checksums, kMaxRows> rows{};
        std::size_t count = 1;

        void add(const Checksums& checksums);
        bool names(const Digest& previous) const;
    };

    /// A position, and the rows read there so far.
    struct Place {
        Row holder;
        Tail tail;
    };

    Row judge(const Entry& entry);
    Row judge(const ArchivedEntries& archived) const;
    Link link_of(std::int64_t position, const Digest& previous) const;
    void begin_position(const Row& holder);
    bool only_previous_was_edited(const Entry& entry);
    std::size_t end_position(Finding out[kMaxFindings]);
    void note_displacement(bool goes_on);
    std::size_t end_run(bool resumed, Finding out[kMaxFindings]);
    void hold(Finding finding);
    void move_anchor();

    Sha256* sha256_;
    Place before_;
    Place current_;               ///< the position being read
    std::optional<Tail> anchor_;  ///< where the newest break left off, to go on from once
    bool displaced_ = false;      ///< the run does not belong here, hence its invalid receipts
    bool resumed_ = false;        ///< anchor_ was gone on from, and is now where that left off
    std::array<Finding, 2> run_;  ///< a gap, and what was found behind it, until their run is over
    std::size_t run_count_ = 0;
};

/// Put the findings in the order of chains and positions, drop those that are consequences of
/// others, and return how many remain, which is at least one if there were any. Takes the findings
/// of all chains of a log at once, since an entry may have been moved from one to another.
/// Throws std::bad_alloc.
std::size_t explain(std::span<Finding> findings);

}  // namespace auditchain
