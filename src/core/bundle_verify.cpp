#include "bundle_verify.h"

#include <algorithm>
#include <iterator>
#include <new>
#include <utility>

#include <zstd.h>

#include "bundle_writer.h"
#include "checkpoint.h"
#include "lines.h"
#include "malformed.h"

namespace auditchain {
namespace {

struct FreeDecompressor {
    void operator()(ZSTD_DCtx* context) const noexcept { ZSTD_freeDCtx(context); }
};

/// One frame, which says how much text it has.
std::string decompress(std::string_view file) {
    const unsigned long long size = ZSTD_getFrameContentSize(file.data(), file.size());
    // Both errors are above every size. A block has at least a header of three bytes and one more
    // (RFC 8878, 3.1.1.2).
    const unsigned long long blocks = file.size() / 4;
    if (size > kMaxBundleLine + kBundleChunkText || size > blocks * ZSTD_BLOCKSIZE_MAX ||
        ZSTD_findFrameCompressedSize(file.data(), file.size()) != file.size()) {
        throw Malformed("it is not one frame of zstd with a size of its text");
    }
    const std::unique_ptr<ZSTD_DCtx, FreeDecompressor> context(ZSTD_createDCtx());
    if (context == nullptr) {
        throw std::bad_alloc();
    }
    std::string text(static_cast<std::size_t>(size), '\0');
    const std::size_t done =
        ZSTD_decompressDCtx(context.get(), text.data(), text.size(), file.data(), file.size());
    if (done != text.size()) {
        throw Malformed("it cannot be decompressed");
    }
    return text;
}

/// Runs what reads a file, and has its name in the error.
template <class Read>
auto reading(std::string_view name, Read read) {
    try {
        return read();
    } catch (const Malformed& e) {
        throw Malformed(std::string(name) + ": " + e.what());
    }
}

std::string positions(std::int64_t first, std::int64_t last) {
    const std::string begin = to_decimal(static_cast<std::uint64_t>(first));
    return first == last ? "the entry is missing"
                         : "positions " + begin + " to " +
                               to_decimal(static_cast<std::uint64_t>(last)) + " are missing";
}

/// The name of a key without its incarnation: one key may sign for many logs, and a log that was
/// restored goes on in another incarnation.
std::string_view log_part(std::string_view name) {
    return name.substr(0, name.rfind('/'));
}

bool same(const ChainPart& a, const ChainPart& b) {
    return a.first == b.first && a.last == b.last && a.previous == b.previous &&
           a.end.stored == b.end.stored;
}

}  // namespace

std::string read_lines(const BundleWork& work) {
    const TarFile& file = work.file;
    return reading(file.name, [&] {
        return work.cipher == nullptr
                   ? decompress(file.content)
                   : decompress(work.cipher->decrypt(work.number, file.name, file.content));
    });
}

BundleResult look_at(Sha256& sha256, const BundleWork& work, std::string_view lines) {
    const TarFile& file = work.file;
    return reading(file.name, [&] {
        return BundleResult{{file.name, file.content.size(), sha256({file.content})},
                            check_bundle_chunk(sha256, work.log_id, lines)};
    });
}

BundleResult look_at(Sha256& sha256, const BundleWork& work) {
    return look_at(sha256, work, read_lines(work));
}

std::optional<BundleWork> BundleVerifier::take(TarFile file, std::uint64_t time) {
    const bool behind_head = next_ == Next::note || next_ == Next::entries;
    if (behind_head &&
        file.name == bundle_entries_name(chunks_ + 1, verdict_.head.encryption.has_value())) {
        next_ = Next::entries;
        return BundleWork{std::move(file), ++chunks_, verdict_.head.log_id, cipher_.get()};
    }
    reading(file.name, [&] {
        if (next_ == Next::readme && file.name == kBundleReadme) {
            next_ = Next::head;
        } else if (next_ == Next::head && file.name == kBundleHead) {
            take_head(file.content, time);
        } else if (next_ == Next::note && file.name == kBundleNote) {
            note_ = parse_note(file.content);
            next_ = Next::key;
        } else if (next_ == Next::key && file.name == kBundleKey) {
            take_key(file.content);
        } else if (behind_head && file.name == kBundleManifest) {
            manifest_ = parse_bundle_manifest(head_text_, file.content);
            next_ = Next::end;
        } else {
            throw Malformed("a bundle has no such file, or not here");
        }
    });
    if (next_ != Next::end) {
        files_.push_back({file.name, file.content.size(), sha256_({file.content})});
    }
    return std::nullopt;
}

void BundleVerifier::take_head(const std::string& text, std::uint64_t time) {
    BundleHead& head = verdict_.head;
    head = parse_bundle_head(text, time);
    head_text_ = text;
    next_ = Next::note;
    if (!head.encryption) {
        return;
    }
    if (trust_.archive_keys == nullptr) {
        throw Malformed("its entries are encrypted, and no key was given");
    }
    for (std::size_t i = 0; i < trust_.archive_keys->count && cipher_ == nullptr; ++i) {
        const ReceiptSecret& key = trust_.archive_keys->secrets[i];
        if (archive_key_id(sha256_, key) == head.encryption->key_id) {
            cipher_ = std::make_unique<BundleCipher>(key, head.encryption->wrapped_key);
        }
    }
    if (cipher_ == nullptr) {
        throw Malformed("its entries are encrypted for the key with the id " +
                        head.encryption->key_id + ", which was not given");
    }
}

void BundleVerifier::take_key(std::string_view text) {
    const auto line = take_line(text);
    if (!line || !text.empty()) {
        throw Malformed("it is not one line");
    }
    check_signature(parse_verifier_key(sha256_, *line));
    verdict_.signer = *line;
    next_ = Next::entries;
}

/// Whether the checkpoint is of the tree in bundle.json, and whose signature it has.
void BundleVerifier::check_signature(const VerifierKey& key) {
    const BundleHead& head = verdict_.head;
    const std::string prefix = "auditchain/" + head.log_id + "/";
    if (verify_note(sha256_, note_, key).result != SignatureCheck::valid) {
        refuse_checkpoint("the checkpoint is not signed by the key in the bundle");
        return;
    }
    const Checkpoint checkpoint = parse_checkpoint(note_.text);
    if (checkpoint.size != head.tree_size || checkpoint.root != head.root ||
        checkpoint.origin != head.origin || checkpoint.origin != key.name ||
        !checkpoint.origin.starts_with(prefix)) {
        refuse_checkpoint("the checkpoint is signed, and of another tree than the bundle");
        return;
    }
    const VerifierKey clock{key.name, SignatureType::cosignature, key.key};
    verdict_.sealed_at = verify_note(sha256_, note_, clock).time;
    verdict_.signer_trusted =
        std::any_of(trust_.signers.begin(), trust_.signers.end(), [&](const VerifierKey& signer) {
            return signer.key == key.key && log_part(signer.name) == log_part(key.name);
        });
    if (!trust_.signers.empty() && !verdict_.signer_trusted) {
        refuse_checkpoint("the checkpoint is not signed by a key that is trusted for this log");
    }
}

void BundleVerifier::refuse_checkpoint(std::string detail) {
    of_checkpoint_.push_back({Violation::checkpoint_mismatch, {}, 0, std::move(detail)});
}

void BundleVerifier::add_finding(BundleFinding finding) {
    if (verdict_.findings.size() < kMaxBundleFindings) {
        verdict_.findings.push_back(std::move(finding));
    } else {
        ++more_findings_;
    }
}

void BundleVerifier::add(BundleResult result) {
    BundleChunk& chunk = result.chunk;
    files_.push_back(std::move(result.file));
    verdict_.entries += chunk.entries;
    verdict_.bytes += chunk.bytes;
    if (chunk.leaves.begin() != leaves_.end() || !chunk.leaves_in_order) {
        leaves_in_order_ = false;
    }
    if (leaves_in_order_) {
        leaves_.append(sha256_, chunk.leaves);
    }
    for (auto& [name, chain] : chunk.chains) {
        BundledChain& whole = verdict_.chains[name];
        for (const ChainPart& part : chain.parts) {
            BundleFinding finding;
            if (whole.append(part, &finding)) {
                finding.chain = name;
                add_finding(std::move(finding));
            }
        }
    }
    for (BundleFinding& finding : chunk.findings) {
        add_finding(std::move(finding));
    }
    more_findings_ += chunk.more_findings;
}

/// Find the positions that manifest.json names and that are not there.
void BundleVerifier::check_parts() {
    for (const auto& [name, chain] : manifest_.chains) {
        const std::vector<ChainPart>& found = verdict_.chains[name].parts;
        auto part = found.begin();
        for (const ChainPart& promised : chain.parts) {
            std::int64_t next = promised.first;
            while (next <= promised.last) {
                while (part != found.end() && part->last < next) {
                    ++part;
                }
                const std::int64_t there = part == found.end()
                                               ? promised.last + 1
                                               : std::min(part->first, promised.last + 1);
                if (there > next) {
                    add_finding({Violation::entry_missing, name, next, positions(next, there - 1)});
                }
                next = part == found.end() ? there : std::max(there, part->last + 1);
            }
        }
    }
}

void BundleVerifier::check_tree() {
    if (!leaves_in_order_ || leaves_.end() != verdict_.head.tree_size) {
        add_finding({Violation::entry_missing,
                     {},
                     0,
                     "the entries and hashes are not all leaves of the tree, in their order"});
    } else if (leaves_.root(sha256_) != verdict_.head.root) {
        add_finding({Violation::checkpoint_mismatch,
                     {},
                     0,
                     "the checkpoint is of other entries than the bundle has"});
    }
}

/// What an intact bundle says about itself is so.
void BundleVerifier::check_contents() {
    const auto refuse = [](const std::string& what) {
        throw Malformed(std::string(kBundleManifest) + ": " + what);
    };
    if (files_.size() != manifest_.files.size()) {
        refuse("it names other files than there are");
    }
    for (std::size_t i = 0; i < files_.size(); ++i) {
        if (files_[i] != manifest_.files[i]) {
            refuse(files_[i].name + " is not the file that it names");
        }
    }
    const bool alike =
        std::equal(verdict_.chains.begin(), verdict_.chains.end(), manifest_.chains.begin(),
                   manifest_.chains.end(), [](const auto& a, const auto& b) {
                       return a.first == b.first &&
                              std::equal(a.second.parts.begin(), a.second.parts.end(),
                                         b.second.parts.begin(), b.second.parts.end(), same);
                   });
    if (!alike || verdict_.entries != manifest_.entries || verdict_.bytes != manifest_.bytes) {
        refuse("it tells of other entries than there are");
    }
}

BundleVerdict BundleVerifier::finish() {
    if (next_ != Next::end) {
        throw Malformed("it has no manifest.json, and so no end");
    }
    check_parts();
    if (verdict_.findings.empty()) {
        check_tree();
    }
    if (verdict_.signer.empty() && !trust_.signers.empty()) {
        refuse_checkpoint("the bundle has no signed checkpoint");
    }
    std::move(of_checkpoint_.begin(), of_checkpoint_.end(), std::back_inserter(verdict_.findings));
    if (more_findings_ > 0) {
        verdict_.findings.push_back({verdict_.findings.back().kind,
                                     {},
                                     0,
                                     "and " + to_decimal(more_findings_) + " more violations"});
    }
    if (verdict_.findings.empty()) {
        check_contents();
    }
    return std::move(verdict_);
}

}  // namespace auditchain
