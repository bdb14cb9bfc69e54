#include "bundle_writer.h"

#include <stdexcept>
#include <utility>

#include <zstd.h>

#include "bundle_readme.h"
#include "checksum.h"
#include "leaf.h"
#include "merkle.h"

namespace auditchain {
namespace {

constexpr int kCompressionLevel = 3;

std::size_t require_zstd(std::size_t result) {
    if (ZSTD_isError(result) != 0) {
        throw std::runtime_error(std::string("zstd: ") + ZSTD_getErrorName(result));
    }
    return result;
}

}  // namespace

void BundleWriter::FreeCompressor::operator()(ZSTD_CCtx_s* context) const noexcept {
    ZSTD_freeCCtx(context);
}

BundleWriter::BundleWriter(BundleHead head, std::string_view note, std::string_view verifier_key,
                           const ReceiptSecret* archive_key)
    : head_(std::move(head)), compressor_(ZSTD_createCCtx()), chain_(contents_.chains.end()) {
    if (compressor_ == nullptr) {
        throw std::bad_alloc();
    }
    require_zstd(
        ZSTD_CCtx_setParameter(compressor_.get(), ZSTD_c_compressionLevel, kCompressionLevel));
    require_zstd(ZSTD_CCtx_setParameter(compressor_.get(), ZSTD_c_checksumFlag, 1));
    if (archive_key != nullptr) {
        cipher_ = std::make_unique<BundleCipher>();
        head_.encryption = {archive_key_id(sha256_, *archive_key), cipher_->wrap(*archive_key)};
    }
    head_text_ = format_bundle_head(head_);
    write_file(kBundleReadme, kBundleReadmeText);
    write_file(kBundleHead, head_text_);
    if (!note.empty()) {
        write_file(kBundleNote, note);
        write_file(kBundleKey, std::string(verifier_key) + "\n");
    }
}

BundleWriter::~BundleWriter() = default;

BundleWriter::Fault BundleWriter::add(BundledEntry entry) {
    if (entry_checksum(sha256_, entry.previous, entry.payload) != entry.checksum) {
        return Fault::content;
    }
    if (chain_ == contents_.chains.end() || chain_->first != entry.chain) {
        chain_ = contents_.chains.try_emplace(std::string(entry.chain)).first;
    }
    BundleFinding finding;
    const ChainPart part{
        entry.position, entry.position, entry.previous, {entry.checksum, entry.checksum}};
    if (chain_->second.append(part, &finding) ||
        (entry.position == 1 && entry.previous != Digest{})) {
        return Fault::link;
    }
    entry.leaf = next_leaf();
    const std::string leaf = entry_leaf(head_.log_id, entry.chain, entry.position, entry.checksum);
    leaves_.append(sha256_, {{0, entry.leaf}, leaf_hash(sha256_, leaf)});
    const std::size_t before = chunk_.size();
    append_entry_line(chunk_, entry);
    if (chunk_.size() - before > kMaxBundleLine) {
        throw std::length_error("an entry is too big for a bundle");
    }
    ++contents_.entries;
    contents_.bytes += entry.payload.size();
    end_line();
    return Fault::none;
}

void BundleWriter::skip(const SubtreeHash& subtree) {
    leaves_.append(sha256_, subtree);
    append_subtree_line(chunk_, subtree);
    end_line();
}

BundleWriter::Fault BundleWriter::finish() {
    if (next_leaf() != head_.tree_size || leaves_.root(sha256_) != head_.root) {
        return Fault::tree;
    }
    end_chunk();
    // It does not name itself.
    const std::string manifest = format_bundle_manifest(head_text_, contents_);
    write_file(kBundleManifest, manifest);
    output_.append(kTarEnd, '\0');
    return Fault::none;
}

void BundleWriter::end_line() {
    if (++lines_ >= kBundleChunkLines || chunk_.size() >= kBundleChunkText) {
        end_chunk();
    }
}

void BundleWriter::end_chunk() {
    if (lines_ == 0) {
        return;
    }
    compressed_.resize(ZSTD_compressBound(chunk_.size()));
    compressed_.resize(require_zstd(ZSTD_compress2(
        compressor_.get(), compressed_.data(), compressed_.size(), chunk_.data(), chunk_.size())));
    const std::string name = bundle_entries_name(++chunks_, cipher_ != nullptr);
    if (cipher_ != nullptr) {
        write_file(name, cipher_->encrypt(chunks_, name, compressed_));
    } else {
        write_file(name, compressed_);
    }
    chunk_.clear();
    lines_ = 0;
    if (chunk_.capacity() > 2 * kBundleChunkText) {  // of an unusually big entry
        chunk_.shrink_to_fit();
        std::string().swap(compressed_);
    }
}

void BundleWriter::write_file(std::string_view name, std::string_view content) {
    const auto header = tar_header(name, content.size(), head_.created_at);
    output_.append(header.data(), header.size());
    output_.append(content);
    output_.append(tar_padding(content.size()), '\0');
    contents_.files.push_back({std::string(name), content.size(), sha256_({content})});
}

}  // namespace auditchain
