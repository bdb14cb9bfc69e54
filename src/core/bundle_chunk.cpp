#include "bundle_chunk.h"

#include <utility>

#include "bundle_entry.h"
#include "checksum.h"
#include "json_cursor.h"
#include "leaf.h"
#include "lines.h"
#include "malformed.h"
#include "merkle.h"

namespace auditchain {
namespace {

std::string decimal(std::int64_t position) {
    return to_decimal(static_cast<std::uint64_t>(position));
}

/// Reads a piece line by line.
class ChunkReader {
  public:
    ChunkReader(Sha256& sha256, std::string_view log_id) : sha256_(sha256), log_id_(log_id) {}

    BundleChunk read(std::string_view text) {
        bool first = true;
        while (const auto line = take_line(text)) {
            parse_bundle_line(*line, &line_);
            if (std::exchange(first, false)) {
                chunk_.leaves = LeafRange(first_leaf());
            }
            if (line_.is_entry) {
                read_entry();
            }
            read_leaf();
        }
        if (!text.empty()) {
            throw Malformed("its last line has no end");
        }
        return std::move(chunk_);
    }

  private:
    std::uint64_t first_leaf() const {
        const Subtree& subtree = line_.subtree.subtree;
        return line_.is_entry ? line_.entry.leaf : subtree.index << subtree.level;
    }

    void read_leaf() {
        if (line_.is_entry) {
            const std::string leaf =
                entry_leaf(log_id_, *name_, line_.entry.position, line_.entry.checksum);
            line_.subtree = {{0, line_.entry.leaf}, leaf_hash(sha256_, leaf)};
        }
        if (first_leaf() != chunk_.leaves.end()) {
            chunk_.leaves_in_order = false;
        }
        if (chunk_.leaves_in_order) {
            chunk_.leaves.append(sha256_, line_.subtree);
        }
    }

    /// Entries of a chain stand together mostly, so that its name is looked up seldom.
    void find_chain() {
        const std::string_view escaped = line_.entry.chain;
        if (chain_ != nullptr && escaped == escaped_) {
            return;
        }
        std::string name(escaped.size(), '\0');
        name.resize(static_cast<std::size_t>(unescape(escaped, name.data()) - name.data()));
        const auto found = chunk_.chains.try_emplace(std::move(name)).first;
        escaped_ = escaped;
        name_ = &found->first;
        chain_ = &found->second;
    }

    void add(BundleFinding finding) {
        if (chunk_.findings.size() >= kMaxBundleFindings) {
            ++chunk_.more_findings;
            return;
        }
        finding.chain = *name_;
        chunk_.findings.push_back(std::move(finding));
    }

    /// Whether an entry that does not match its checksum would, if it named the entry before it.
    bool only_previous_was_edited(const BundledEntry& entry) {
        const bool follows =
            !chain_->parts.empty() && chain_->parts.back().last + 1 == entry.position;
        if (!follows && entry.position != 1) {
            return false;
        }
        const Digest before = follows ? chain_->parts.back().end.stored : Digest{};
        return before != entry.previous &&
               entry_checksum(sha256_, before, entry.payload) == entry.checksum;
    }

    void read_entry() {
        find_chain();
        const BundledEntry& entry = line_.entry;
        Digest computed = entry_checksum(sha256_, entry.previous, entry.payload);
        if (computed != entry.checksum && only_previous_was_edited(entry)) {
            computed = entry.checksum;
        }
        const bool modified = computed != entry.checksum;
        if (modified) {
            add({.kind = Violation::content_modified,
                 .position = entry.position,
                 .detail = "the payload no longer matches the checksum"});
        }
        BundleFinding finding;
        const ChainPart part{
            entry.position, entry.position, entry.previous, {entry.checksum, computed}};
        if (chain_->append(part, &finding) && !modified) {
            add(std::move(finding));
        } else if (entry.position == 1 && entry.previous != Digest{} && !modified) {
            add({.kind = Violation::link_broken,
                 .position = 1,
                 .detail = "it is the first of its chain, and names another before it"});
        }
        ++chunk_.entries;
        chunk_.bytes += entry.payload.size();
    }

    Sha256& sha256_;
    std::string_view log_id_;
    BundleChunk chunk_;
    BundleLine line_;
    std::string_view escaped_;           // name of the chain read last, as it stands in the line
    const std::string* name_ = nullptr;  // the same as it is
    BundledChain* chain_ = nullptr;
};

}  // namespace

bool BundledChain::append(const ChainPart& next, BundleFinding* finding) {
    if (parts.empty() || next.first > parts.back().last + 1) {
        parts.push_back(next);
        return false;
    }
    ChainPart& before = parts.back();
    finding->position = next.first;
    if (next.first <= before.last) {
        const bool twice = next.first == before.last;
        finding->kind = twice ? Violation::entry_duplicated : Violation::link_broken;
        finding->detail = twice ? "another entry has this position"
                                : "it stands behind position " + decimal(before.last);
        return true;
    }
    // Behind an entry that was modified with its checksum, what the next one names is lost.
    const bool broken = !before.end.has(next.previous) && before.end.stored == before.end.computed;
    finding->kind = Violation::link_broken;
    finding->detail = "it does not follow position " + decimal(before.last);
    before.last = next.last;
    before.end = next.end;
    return broken;
}

BundleChunk check_bundle_chunk(Sha256& sha256, std::string_view log_id, std::string_view text) {
    return ChunkReader(sha256, log_id).read(text);
}

}  // namespace auditchain
