// Tells causes from consequences among the findings of a log.
//
// What was moved is a run: entries that follow one another. Wherever it went, its first entry still
// names the one that it followed, and the entry that followed it names its last.
#include <algorithm>
#include <tuple>
#include <vector>

#include "chain_walk.h"

namespace auditchain {
namespace {

using Index = std::uint32_t;

/// The most runs that are put together to fill a gap.
constexpr int kMaxPieces = 1000;

bool is_gap(const Finding& finding) {
    return finding.kind == Violation::entry_missing || finding.kind == Violation::head_missing;
}

/// Where a chain breaks off and another run goes on, for whatever cause.
bool is_break(const Finding& finding) {
    return finding.kind == Violation::link_broken && finding.explainable;
}

/// The start of a run that stands where it does not belong.
bool is_misplaced(const Finding& finding) {
    return finding.content_intact && finding.length > 0 &&
           (finding.kind == Violation::link_broken || finding.kind == Violation::key_mismatch);
}

/// A checksum, and a finding that has to do with it.
struct Reference {
    Digest checksum;
    Index finding;

    auto operator<=>(const Reference&) const = default;
};

using References = std::vector<Reference>;

/// Return those of a checksum.
std::span<const Reference> find(const References& sorted, const Digest& checksum) {
    const auto first = std::lower_bound(sorted.begin(), sorted.end(), Reference{checksum, 0});
    const auto last = std::upper_bound(first, sorted.end(), Reference{checksum, ~Index{0}});
    return {first, last};
}

/// Where a break is: what it expects to follow, and what it has before it.
struct Place {
    Digest expected;
    Digest before;
    Index finding;

    auto operator<=>(const Place&) const = default;
};

/// Entries that are in the log, and where they belong.
struct Run {
    Digest end;
    std::int64_t length;
    Digest expected;
    Index finding;

    auto operator<=>(const Run&) const = default;
};

template <class Function>
void for_each(const Checksums& checksums, Function function) {
    function(checksums.stored);
    if (checksums.computed != checksums.stored) {
        function(checksums.computed);
    }
}

class Explanation {
  public:
    explicit Explanation(std::span<const Finding> findings);

    void fill_gaps();
    void drop_consequences();
    void join_swaps();
    void excuse_followers();

    bool dropped(std::size_t i) const { return states_[i] == State::dropped; }

  private:
    enum class State : std::uint8_t { unknown, visiting, kept, dropped };

    Index size() const { return static_cast<Index>(findings_.size()); }
    bool is_open_break(Index i) const {
        return is_break(findings_[i]) && !fills_[i] && !dropped(i);
    }
    void settle(Index first);
    bool fill(const Finding& gap, const std::vector<Run>& runs);

    std::span<const Finding> findings_;
    std::vector<State> states_;
    std::vector<bool> fills_;     ///< a gap: it was moved
    std::vector<bool> explains_;  ///< a break
    References ends_;             ///< of misplaced runs
    References expected_;         ///< by breaks that are not known to be causes
};

Explanation::Explanation(std::span<const Finding> findings)
    : findings_(findings),
      states_(findings.size(), State::kept),
      fills_(findings.size()),
      explains_(findings.size()) {}

/// Drop the gaps whose entries were not removed but moved. The runs that these are in now are
/// causes, whatever else they look like.
void Explanation::fill_gaps() {
    std::vector<Run> runs;
    std::vector<Index> filled;
    for (Index i = 0; i < size(); ++i) {
        const Finding& finding = findings_[i];
        if (finding.content_intact && finding.length > 0) {
            for_each(finding.end, [&](const Digest& end) {
                runs.push_back({end, finding.length, finding.expected, i});
            });
        }
    }
    std::sort(runs.begin(), runs.end());
    for (Index i = 0; i < size(); ++i) {
        if (is_gap(findings_[i]) && findings_[i].explainable && fill(findings_[i], runs)) {
            filled.push_back(i);
        }
    }
    for (const Index i : filled) {
        states_[i] = fills_[i] ? State::kept : State::dropped;
    }
}

/// Go back from the entry behind the gap, by the longest run each time, through as many entries as
/// are missing. Returns whether they are all there.
bool Explanation::fill(const Finding& gap, const std::vector<Run>& runs) {
    constexpr Digest kLast = [] {
        Digest digest;
        digest.bytes.fill(0xFF);
        return digest;
    }();
    std::vector<Index> used;
    Digest expected = gap.expected;
    std::int64_t missing = gap.last - gap.first + 1;
    for (int pieces = 0; missing > 0; ++pieces) {
        const auto behind =
            std::upper_bound(runs.begin(), runs.end(), Run{expected, missing, kLast, ~Index{0}});
        if (pieces == kMaxPieces || behind == runs.begin() || (behind - 1)->end != expected) {
            return false;
        }
        const Run& run = *(behind - 1);
        used.push_back(run.finding);
        expected = run.expected;
        missing -= run.length;
    }
    for (const Index i : used) {
        fills_[i] = true;
    }
    return true;
}

/// Drop the breaks at the places that misplaced runs have left. A break that is dropped is where
/// nothing moved, so it explains no other.
void Explanation::drop_consequences() {
    for (Index i = 0; i < size(); ++i) {
        if (is_misplaced(findings_[i])) {
            for_each(findings_[i].end, [&](const Digest& end) { ends_.push_back({end, i}); });
        }
        if (is_break(findings_[i]) && !fills_[i]) {
            expected_.push_back({findings_[i].expected, i});
            states_[i] = State::unknown;
        }
    }
    std::sort(ends_.begin(), ends_.end());
    std::sort(expected_.begin(), expected_.end());
    for (Index i = 0; i < size(); ++i) {
        if (states_[i] == State::unknown) {
            settle(i);
        }
    }
    for (const Reference& end : ends_) {
        if (!find(expected_, end.checksum).empty()) {
            explains_[end.finding] = true;
        }
    }
}

/// Settle a break, and before it the runs whose end it names, and so on. Each has hashed the next,
/// so this ends, or SHA-256 would have a cycle; behind modified content it may have one, but that
/// violation stays.
void Explanation::settle(Index first) {
    struct Visit {
        Index finding;
        std::span<const Reference> causes;  // that have not been looked at
    };
    std::vector<Visit> visits;
    const auto visit = [&](Index i) {
        states_[i] = State::visiting;
        visits.push_back({i, find(ends_, findings_[i].expected)});
    };
    visit(first);
    while (!visits.empty()) {
        auto& [finding, causes] = visits.back();
        const State cause = causes.empty() ? State::kept : states_[causes.front().finding];
        if (causes.empty() || cause == State::kept) {
            states_[finding] = causes.empty() ? State::kept : State::dropped;
            visits.pop_back();
        } else if (cause == State::unknown) {
            visit(causes.front().finding);
        } else {
            causes = causes.subspan(1);
        }
    }
}

/// Of two runs that stand in each other's place, drop the second.
void Explanation::join_swaps() {
    std::vector<Place> places;
    for (Index i = 0; i < size(); ++i) {
        if (is_open_break(i)) {
            for_each(findings_[i].before, [&](const Digest& before) {
                places.push_back({findings_[i].expected, before, i});
            });
        }
    }
    std::sort(places.begin(), places.end());
    for (const Place& place : places) {
        const auto other =
            std::lower_bound(places.begin(), places.end(), Place{place.before, place.expected, 0});
        if (other != places.end() && other->expected == place.before &&
            other->before == place.expected && other->finding < place.finding) {
            explains_[other->finding] = true;
            states_[place.finding] = State::dropped;
        }
    }
}

/// Drop the breaks behind modified entries whose checksums were modified as well: what these breaks
/// expect is lost. One that explains something is a cause itself.
void Explanation::excuse_followers() {
    for (Index i = 0; i < size(); ++i) {
        if (is_open_break(i) && findings_[i].behind_modified && !explains_[i]) {
            states_[i] = State::dropped;
        }
    }
}

/// In the order of chains and positions, what is in no chain last. Of the rows at a position, the
/// duplicates come first.
bool comes_before(const Finding& a, const Finding& b) {
    const auto order = [](const Finding& f) {
        return std::tuple(f.chain == 0, f.chain, f.first, f.kind != Violation::entry_duplicated,
                          f.row);
    };
    return order(a) < order(b);
}

}  // namespace

std::size_t explain(std::span<Finding> findings) {
    std::sort(findings.begin(), findings.end(), comes_before);
    Explanation explanation(findings);
    explanation.fill_gaps();
    explanation.drop_consequences();
    explanation.join_swaps();
    explanation.excuse_followers();
    std::size_t kept = 0;
    for (std::size_t i = 0; i < findings.size(); ++i) {
        if (!explanation.dropped(i)) {
            findings[kept++] = findings[i];
        }
    }
    return kept;
}

}  // namespace auditchain
