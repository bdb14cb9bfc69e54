#include "chain_walk.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "checksum.h"

namespace auditchain {

const char* name(Violation violation) noexcept {
    switch (violation) {
        case Violation::content_modified:
            return "content_modified";
        case Violation::link_broken:
            return "link_broken";
        case Violation::entry_missing:
            return "entry_missing";
        case Violation::entry_duplicated:
            return "entry_duplicated";
        case Violation::head_missing:
            return "head_missing";
        case Violation::tail_missing:
            return "tail_missing";
        case Violation::checkpoint_mismatch:
            return "checkpoint_mismatch";
        case Violation::receipt_invalid:
            return "receipt_invalid";
        case Violation::key_mismatch:
            return "key_mismatch";
        case Violation::incarnation_changed:
            return "incarnation_changed";
        case Violation::guard_disabled:
            return "guard_disabled";
    }
    return "unknown";
}

void ChainWalk::begin_chain() {
    predecessor_ = Row{};
    representative_ = Row{};
    anchor_.reset();
}

std::size_t ChainWalk::next(const Entry& entry, Finding out[kMaxFindings]) {
    if (entry.position < 1) {  // no place in any chain; what it follows explains nothing
        out[0] = judge(entry).finding;
        out[0].kind = Violation::link_broken;
        out[0].expected = Digest{};
        return 1;
    }
    if (entry.position > representative_.finding.first) {
        const std::size_t count = end_position(out);
        representative_ = judge(entry);
        return count;
    }
    Row duplicate = judge(entry);
    if (duplicate.rank() > representative_.rank()) {
        std::swap(duplicate, representative_);
    }
    if (duplicate.fine) {
        representative_.tail.twin = duplicate.tail.stored;
    }
    out[0] = duplicate.finding;
    out[0].kind = Violation::entry_duplicated;
    return 1;
}

std::size_t ChainWalk::end_chain(Finding out[kMaxFindings]) {
    const std::size_t count = end_position(out);
    begin_chain();
    return count;
}

/// Judge a row against the entry before its position. One hash, two if all is wrong with it.
ChainWalk::Row ChainWalk::judge(const Entry& entry) {
    const Digest recomputed = entry_checksum(*sha256_, entry.previous, entry.payload);
    const bool intact = recomputed == entry.checksum;
    Row row{.finding = {.first = entry.position,
                        .last = entry.position,
                        .row = entry.row,
                        .has_row = true,
                        .content_intact = intact,
                        .own = entry.checksum,
                        .expected = entry.previous},
            .tail = {.stored = entry.checksum, .recomputed = recomputed, .twin = entry.checksum},
            .link = link_of(entry),
            .fine = false};
    if (row.link != Link::broken) {
        row.fine = intact && entry.key_matches;
        row.finding.kind = intact ? Violation::key_mismatch : Violation::content_modified;
    } else if (intact) {
        row.finding.kind = entry.key_matches ? Violation::link_broken : Violation::key_mismatch;
    } else if (entry_checksum(*sha256_, predecessor_.tail.stored, entry.payload) ==
               entry.checksum) {
        // Only its previous checksum was edited: it stands where it belongs.
        row.finding.kind = Violation::link_broken;
        row.link = Link::chained;
        row.tail.recomputed = entry.checksum;
    } else {
        row.finding.kind = Violation::content_modified;
    }
    return row;
}

ChainWalk::Link ChainWalk::link_of(const Entry& entry) const {
    const bool chained = predecessor_.tail.names(entry.previous);
    if (entry.position != predecessor_.finding.first + 1) {
        return chained ? Link::spanning : Link::unknown;
    }
    if (chained) {
        return Link::chained;
    }
    return anchor_ && anchor_->names(entry.previous) ? Link::resumed : Link::broken;
}

/// A break where the chain 1 2 | 5 6 | 3 4 | 7 first leaves off, at 2, explains that 3 goes on from
/// there, and that 7 goes on from where this left off, at 6. Nothing more.
void ChainWalk::move_anchor() {
    const Link link = representative_.link;
    if (link == Link::broken || (link == Link::resumed && !resumed_)) {
        anchor_ = predecessor_.tail;
        resumed_ = link == Link::resumed;
    } else if (link != Link::chained) {
        anchor_.reset();
    }
}

/// Report the gap before the position just read and its representative, and go on from there.
std::size_t ChainWalk::end_position(Finding out[kMaxFindings]) {
    std::size_t count = 0;
    const std::int64_t expected = predecessor_.finding.first + 1;
    if (representative_.finding.first > expected) {
        Finding& gap = out[count++] = representative_.finding;
        gap.kind = expected == 1 ? Violation::head_missing : Violation::entry_missing;
        gap.first = expected;
        gap.last = representative_.finding.first - 1;
        gap.has_row = false;
    }
    if (!representative_.fine) {
        out[count++] = representative_.finding;
    }
    move_anchor();
    predecessor_ = representative_;
    return count;
}

namespace {

/// Return, sorted, the checksums of the intact entries among the findings that `wanted` selects.
template <class Predicate>
std::vector<Digest> intact_entries(std::span<const Finding> findings, Predicate wanted) {
    std::vector<Digest> checksums;
    for (const Finding& finding : findings) {
        if (finding.content_intact && wanted(finding)) {
            checksums.push_back(finding.own);
        }
    }
    std::sort(checksums.begin(), checksums.end());
    return checksums;
}

bool contains(const std::vector<Digest>& sorted, const Digest& checksum) {
    return std::binary_search(sorted.begin(), sorted.end(), checksum);
}

bool is_misplaced(const Finding& finding) {
    return finding.kind == Violation::link_broken || finding.kind == Violation::key_mismatch;
}

bool is_gap_of_one(const Finding& finding) {
    return finding.first == finding.last &&
           (finding.kind == Violation::entry_missing || finding.kind == Violation::head_missing);
}

}  // namespace

// A finding is dropped only for one whose own checksum it has hashed, directly or by the entry
// behind it. Such a chain of reasons cannot close, or SHA-256 would have a cycle: one remains.
std::size_t explain(std::span<Finding> findings) {
    // The follower of a place that its entry has left.
    const auto misplaced = intact_entries(findings, is_misplaced);
    auto end = std::remove_if(findings.begin(), findings.end(), [&](const Finding& finding) {
        return finding.kind == Violation::link_broken && finding.content_intact &&
               contains(misplaced, finding.expected);
    });
    // A gap whose one entry was not removed but moved: it is among what remains.
    const auto present =
        intact_entries({findings.begin(), end}, [](const Finding&) { return true; });
    end = std::remove_if(findings.begin(), end, [&](const Finding& finding) {
        return is_gap_of_one(finding) && contains(present, finding.expected);
    });
    return static_cast<std::size_t>(end - findings.begin());
}

}  // namespace auditchain
