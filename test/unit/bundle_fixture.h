// Bundles to test with: logs with several chains whose entries were sealed at random.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "bundle_verify.h"
#include "bundle_writer.h"
#include "checkpoint.h"
#include "checksum.h"
#include "core_fixture.h"
#include "leaf.h"
#include "leaf_range.h"
#include "note.h"

namespace auditchain::test {

inline constexpr char kBundledLog[] = "1c2d5ba4-6d0d-4b56-9a3c-2f0e6a7f9b11";

/// An entry that owns its texts.
struct OwnedEntry {
    std::string chain;
    std::int64_t position;
    Digest previous;
    Digest checksum;
    std::optional<Receipt> receipt;
    std::string payload;

    BundledEntry view() const { return {0, chain, position, previous, checksum, receipt, payload}; }
};

/// A sealed log, which has its entries in the order of leaves.
class SealedLog {
  public:
    void append(const std::string& chain, const std::string& payload, bool receipt = false) {
        auto& [position, previous] = heads_[chain];
        const Digest checksum = entry_checksum(sha256_, previous, payload);
        entries.push_back({chain, ++position, previous, checksum,
                           receipt ? std::optional(make_receipt(payload)) : std::nullopt, payload});
        previous = checksum;
    }

    /// By a plain secret and by an evolving one, in turn.
    Receipt make_receipt(const std::string& payload) {
        return {entries.size() % 2 == 1, 7, sha256_({payload})};
    }

    std::vector<Digest> leaf_hashes() {
        std::vector<Digest> hashes;
        for (const OwnedEntry& entry : entries) {
            hashes.push_back(leaf_hash(
                sha256_, entry_leaf(kBundledLog, entry.chain, entry.position, entry.checksum)));
        }
        return hashes;
    }

    BundleHead head() {
        LeafRange leaves;
        for (const Digest& hash : leaf_hashes()) {
            leaves.append(sha256_, {{0, leaves.end()}, hash});
        }
        return {.created_at = 1778336760,
                .created_by = "auditchain test",
                .log_name = "public.\"events\"",
                .log_id = kBundledLog,
                .origin = origin(),
                .tree_size = leaves.end(),
                .root = leaves.root(sha256_),
                .since = "2026-05-01T00:00:00Z",
                .until = {},
                .context = R"({"keep":"7 years","holds":[{"matching":{"a":"}]"}}]})",
                .encryption = {}};
    }

    std::string origin() const { return "auditchain/" + std::string(kBundledLog) + "/1-12345678"; }

    std::string note(const BundleHead& head) {
        Note note{
            format_checkpoint({.origin = origin(), .size = head.tree_size, .root = head.root}), {}};
        note.signatures.push_back(sign_note(sha256_, note.text, origin(), key_));
        note.signatures.push_back(cosign_note(sha256_, note.text, origin(), 1778336760, key_));
        return format_note(note);
    }

    VerifierKey verifier_key() const {
        return {origin(), SignatureType::ed25519, key_.public_key()};
    }

    /// A bundle of the entries whose leaves are selected.
    std::string bundle(const std::vector<bool>& selected, const ReceiptSecret* key = nullptr,
                       bool sealed = true) {
        const BundleHead head = this->head();
        BundleWriter writer(head, sealed ? note(head) : "",
                            sealed ? format_verifier_key(sha256_, verifier_key()) : "", key);
        write(writer, selected);
        if (writer.finish() != BundleWriter::Fault::none) {
            throw std::logic_error("the bundle does not hold");
        }
        return std::move(writer.output());
    }

    void write(BundleWriter& writer, const std::vector<bool>& selected) {
        const std::vector<Digest> hashes = leaf_hashes();
        for (std::size_t i = 0; i < entries.size();) {
            if (selected[i]) {
                if (writer.add(entries[i++].view()) != BundleWriter::Fault::none) {
                    throw std::logic_error("an entry does not hold");
                }
                continue;
            }
            std::size_t end = i;
            while (end < entries.size() && !selected[end]) {
                ++end;
            }
            const Subtree subtree = subtree_at(i, end);
            LeafRange range(i);
            std::vector<Digest> nodes(hashes.begin() + static_cast<std::ptrdiff_t>(i),
                                      hashes.begin() + static_cast<std::ptrdiff_t>(
                                                           i + (std::size_t{1} << subtree.level)));
            writer.skip({subtree, complete_hash(sha256_, nodes)});
            i += std::size_t{1} << subtree.level;
        }
    }

    std::string whole_bundle(const ReceiptSecret* key = nullptr) {
        return bundle(std::vector<bool>(entries.size(), true), key);
    }

    std::vector<OwnedEntry> entries;

  private:
    Sha256 sha256_;
    Ed25519PrivateKey key_ = test_key('1');
    std::map<std::string, std::pair<std::int64_t, Digest>> heads_;
};

/// A small log of two chains.
struct SmallLog : SealedLog {
    SmallLog() {
        for (int i = 0; i < 7; ++i) {
            append("[]/0", R"({"id":)" + std::to_string(i) + R"(,"note":"a \"b\" \\ \u001f é"})",
                   i % 2 == 0);
        }
        for (int i = 0; i < 4; ++i) {
            append(R"(["te\"nant"]/1)", R"({"id":)" + std::to_string(i) + "}");
        }
    }
};

/// Verify a bundle that comes in pieces of this size.
inline BundleVerdict verify_bundle(std::string_view bundle, BundleTrust trust = {},
                                   std::size_t piece = 1000) {
    Sha256 sha256;
    TarReader tar;
    BundleVerifier verifier(std::move(trust));
    while (!bundle.empty()) {
        tar.feed(bundle.substr(0, piece));
        bundle.remove_prefix(std::min(piece, bundle.size()));
        while (auto file = tar.next()) {
            if (const auto work = verifier.take(std::move(*file), tar.time())) {
                verifier.add(look_at(sha256, *work));
            }
        }
    }
    tar.finish();
    return verifier.finish();
}

/// The findings, a line each: "chain position kind".
inline std::string found(const BundleVerdict& verdict) {
    std::string text;
    for (const BundleFinding& finding : verdict.findings) {
        text += finding.chain + " " + std::to_string(finding.position) + " " + name(finding.kind) +
                "\n";
    }
    return text;
}

}  // namespace auditchain::test
