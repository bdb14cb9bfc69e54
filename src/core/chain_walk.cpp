#include "chain_walk.h"

#include <algorithm>
#include <tuple>
#include <utility>

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
        case Violation::archive_mismatch:
            return "archive_mismatch";
    }
    return "unknown";
}

bool extend_run(Finding& run, const Finding& next) noexcept {
    const bool one = run.kind == Violation::receipt_invalid && next.kind == run.kind &&
                     next.chain == run.chain && next.first == run.last + 1;
    if (one) {
        run.last = next.last;
    }
    return one;
}

/// Fine before not fine, in place before out of place. The checksums make it no matter of luck.
bool ChainWalk::Row::better_than(const Row& other) const {
    const auto order = [](const Row& row) {
        const Finding& f = row.finding;
        return std::tie(row.link, f.kind, f.own, f.expected, f.end.computed);
    };
    return fine != other.fine ? fine : order(*this) < order(other);
}

void ChainWalk::Tail::add(const Checksums& checksums) {
    if (count < kMaxRows) {
        rows[count++] = checksums;
    }
}

bool ChainWalk::Tail::names(const Digest& previous) const {
    return std::any_of(rows.begin(), rows.begin() + count,
                       [&](const Checksums& row) { return row.has(previous); });
}

void ChainWalk::begin_chain() {
    before_ = Place{};
    current_ = Place{};
    anchor_.reset();
    displaced_ = false;
    run_count_ = 0;
}

std::size_t ChainWalk::next(const Entry& entry, Finding out[kMaxFindings]) {
    if (entry.position < 1) {
        out[0] = judge(entry).finding;
        out[0].kind = Violation::link_broken;
        out[0].explainable = false;
        return 1;
    }
    if (entry.position > current_.holder.finding.last) {
        const std::size_t count = end_position(out);
        begin_position(judge(entry));
        return count;
    }
    Row duplicate = judge(entry);
    if (current_.holder.finding.row != kArchivedRow) {
        current_.tail.add(duplicate.finding.end);
        if (duplicate.better_than(current_.holder)) {
            std::swap(duplicate, current_.holder);
        }
    }
    out[0] = duplicate.finding;
    out[0].kind = Violation::entry_duplicated;
    return 1;
}

std::size_t ChainWalk::next(ArchivedEntries archived, Finding out[kMaxFindings]) {
    const std::int64_t taken = current_.holder.finding.last;
    if (archived.last <= taken) {
        return 0;
    }
    const std::size_t count = end_position(out);
    Row row = judge(archived);
    if (archived.first <= taken) {
        row.finding.first = taken + 1;
        row.link = Link::unknown;
        row.fine = true;
    }
    begin_position(row);
    return count;
}

void ChainWalk::begin_position(const Row& holder) {
    current_.holder = holder;
    current_.tail.count = 0;
    current_.tail.add(holder.finding.end);
}

std::size_t ChainWalk::end_chain(Finding out[kMaxFindings]) {
    std::size_t count = end_position(out);
    count += end_run(false, out + count);
    begin_chain();
    return count;
}

/// Judge a row against the position before. One hash, more only if all is wrong with it.
ChainWalk::Row ChainWalk::judge(const Entry& entry) {
    const Digest computed = entry_checksum(*sha256_, entry.previous, entry.payload);
    Row row{.finding = {.has_row = true,
                        .first = entry.position,
                        .last = entry.position,
                        .row = entry.row,
                        .content_intact = computed == entry.checksum,
                        .own = entry.checksum,
                        .expected = entry.previous,
                        .end = {entry.checksum, computed},
                        .length = 1},
            .link = link_of(entry.position, entry.previous),
            .fine = false,
            .key_matches = entry.key_matches,
            .receipt = entry.receipt};
    Finding& finding = row.finding;
    const Row& predecessor = before_.holder;
    finding.before = predecessor.finding.end;
    if (finding.content_intact) {
        if (row.link == Link::broken && entry.receipt == ReceiptState::valid &&
            predecessor.receipt == ReceiptState::invalid && entry.key_matches) {
            row.link = Link::vouched;
        }
        row.fine =
            row.link != Link::broken && entry.key_matches && entry.receipt != ReceiptState::invalid;
        finding.kind = !entry.key_matches         ? Violation::key_mismatch
                       : row.link == Link::broken ? Violation::link_broken
                                                  : Violation::receipt_invalid;
        finding.explainable = entry.key_matches;
        finding.behind_modified =
            !predecessor.fine && predecessor.finding.kind == Violation::content_modified;
    } else if (row.link == Link::broken && only_previous_was_edited(entry)) {
        finding.kind = Violation::link_broken;
        row.link = Link::chained;  // it stands where it belongs
        finding.end.computed = entry.checksum;
    } else {
        finding.kind = Violation::content_modified;
    }
    return row;
}

/// Judge archived entries: they were verified when they were archived, so they are what their
/// archive says.
ChainWalk::Row ChainWalk::judge(const ArchivedEntries& archived) const {
    const Row& predecessor = before_.holder;
    Row row{.finding = {.kind = Violation::link_broken,
                        .first = archived.first,
                        .last = archived.last,
                        .row = kArchivedRow,
                        .content_intact = true,
                        .own = archived.checksum,
                        .expected = archived.previous,
                        .explainable = true,
                        .before = predecessor.finding.end,
                        .end = {archived.checksum, archived.checksum},
                        .length = archived.last - archived.first + 1},
            .link = link_of(archived.first, archived.previous)};
    if (row.link == Link::broken && predecessor.receipt == ReceiptState::invalid) {
        row.link = Link::vouched;
    }
    row.fine = row.link != Link::broken;
    row.finding.behind_modified =
        !predecessor.fine && predecessor.finding.kind == Violation::content_modified;
    return row;
}

ChainWalk::Link ChainWalk::link_of(std::int64_t position, const Digest& previous) const {
    const Finding& predecessor = before_.holder.finding;
    if (position != predecessor.last + 1) {
        return predecessor.end.has(previous) ? Link::spanning : Link::unknown;
    }
    if (before_.tail.names(previous)) {
        return Link::chained;
    }
    return anchor_ && anchor_->names(previous) ? Link::resumed : Link::broken;
}

bool ChainWalk::only_previous_was_edited(const Entry& entry) {
    const Tail& tail = before_.tail;
    return std::any_of(tail.rows.begin(), tail.rows.begin() + tail.count, [&](const auto& row) {
        return entry_checksum(*sha256_, row.stored, entry.payload) == entry.checksum;
    });
}

/// A break where the chain 1 2 | 5 6 | 3 4 | 7 first leaves off, at 2, explains that 3 goes on from
/// there, and that 7 goes on from where this left off, at 6. Nothing more. Entries of another key
/// are a break, even if they follow.
void ChainWalk::move_anchor() {
    const Row& holder = current_.holder;
    const bool foreign = before_.holder.key_matches && !holder.key_matches;
    const bool breaks = holder.link == Link::broken || (holder.link == Link::chained && foreign);
    if (breaks || (holder.link == Link::resumed && !resumed_)) {
        anchor_ = before_.tail;
        resumed_ = !breaks;
    } else if (holder.link != Link::chained) {
        anchor_.reset();
    }
}

void ChainWalk::hold(Finding finding) {
    finding.length = 0;
    run_[run_count_++] = finding;
}

/// Return what was found at the start of the run. If the chain goes on from where the run broke it,
/// the run was put there, whatever stands before it.
std::size_t ChainWalk::end_run(bool resumed, Finding out[kMaxFindings]) {
    for (std::size_t i = 0; i < run_count_; ++i) {
        out[i] = run_[i];
        out[i].behind_modified = run_[i].behind_modified && !resumed;
    }
    return std::exchange(run_count_, 0);
}

/// A run that was moved has receipts of the places where it was.
void ChainWalk::note_displacement(bool goes_on) {
    const Row& holder = current_.holder;
    const bool moved = goes_on ? displaced_
                               : holder.link == Link::broken || holder.link == Link::resumed ||
                                     !holder.key_matches;
    displaced_ = moved && holder.receipt == ReceiptState::invalid;
}

/// Report the gap before the position just read and its holder, and go on from there.
std::size_t ChainWalk::end_position(Finding out[kMaxFindings]) {
    std::size_t count = 0;
    Row& holder = current_.holder;
    const std::int64_t expected = before_.holder.finding.last + 1;
    const bool chained = holder.link == Link::chained;
    if (chained && !holder.finding.content_intact) {
        holder.key_matches = before_.holder.key_matches;  // its own may be an edit
    }
    const bool goes_on = chained && holder.key_matches == before_.holder.key_matches;
    if (!goes_on) {
        count = end_run(holder.link == Link::resumed, out);
    }
    if (holder.finding.first > expected) {
        Finding gap = holder.finding;
        gap.kind = expected == 1 ? Violation::head_missing : Violation::entry_missing;
        gap.has_row = false;
        gap.first = expected;
        gap.last = holder.finding.first - 1;
        gap.explainable = holder.link != Link::spanning;
        gap.behind_modified = false;
        hold(gap);
    }
    note_displacement(goes_on);
    if (holder.only_receipt_is_wrong()) {
        if (!displaced_) {
            out[count] = holder.finding;
            out[count++].length = 0;
        }
    } else if (!holder.fine && !holder.finding.content_intact) {
        out[count++] = holder.finding;
    } else if (!holder.fine && !goes_on) {
        hold(holder.finding);
    }
    for (std::size_t i = 0; i < run_count_; ++i) {
        run_[i].end = holder.finding.end;
        run_[i].length += holder.finding.last - holder.finding.first + 1;
    }
    move_anchor();
    before_ = current_;
    return count;
}

}  // namespace auditchain
