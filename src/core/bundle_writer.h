#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "bundle_chunk.h"
#include "bundle_cipher.h"
#include "bundle_entry.h"
#include "bundle_manifest.h"
#include "bundle_tar.h"
#include "leaf_range.h"
#include "sha256.h"

struct ZSTD_CCtx_s;

namespace auditchain {

/// A file of entries is ended behind the line with which it has this much text, or as many lines.
inline constexpr std::size_t kBundleChunkText = std::size_t{4} << 20;
inline constexpr std::uint64_t kBundleChunkLines = 65536;

/// A line of no entry may be longer: about that of a payload of 1 GB.
inline constexpr std::size_t kMaxBundleLine = std::size_t{1} << 31;

/// Writes a bundle (docs/bundle.md): the entries that are given to it, in the order of leaves, and
/// the hashes of the leaves between them. It writes nothing that does not hold, so that a bundle
/// that was finished is intact. It needs memory for one file of entries, and for what the manifest
/// says of chains and files.
///
///     BundleWriter writer(head, note, key, nullptr);
///     writer.add(entry); ... writer.skip(subtree); ...   // from leaf 0 to the last of the tree
///     writer.finish();                                   // output() is written out in between
class BundleWriter {
  public:
    /// Why a bundle cannot be written.
    enum class Fault : std::uint8_t {
        none,
        content,  ///< the payload does not match its checksum
        link,     ///< the entry does not follow the one before it
        tree,     ///< the entries and hashes do not make the tree that the checkpoint is of
    };

    /// Begin a bundle. The note is that of the tree's checkpoint and the key its verifier key;
    /// both are empty where it is not signed. With a key the entries are encrypted.
    /// Throws std::runtime_error if OpenSSL or zstd fails.
    BundleWriter(BundleHead head, std::string_view note, std::string_view verifier_key,
                 const ReceiptSecret* archive_key);
    ~BundleWriter();
    BundleWriter(const BundleWriter&) = delete;
    BundleWriter& operator=(const BundleWriter&) = delete;

    /// The leaf that comes next.
    std::uint64_t next_leaf() const noexcept { return leaves_.end(); }

    /// Add the entry of the next leaf. Throws std::length_error if it is too big,
    /// std::runtime_error if OpenSSL or zstd fails.
    Fault add(BundledEntry entry);

    /// Step over leaves. Throws std::invalid_argument unless they begin at the next leaf.
    void skip(const SubtreeHash& subtree);

    /// End the bundle. Throws as add() does.
    Fault finish();

    /// What was written and not cleared yet.
    std::string& output() noexcept { return output_; }

    std::uint64_t entries() const noexcept { return contents_.entries; }

  private:
    struct FreeCompressor {
        void operator()(ZSTD_CCtx_s* context) const noexcept;
    };

    void end_line();
    void end_chunk();
    void write_file(std::string_view name, std::string_view content);

    Sha256 sha256_;
    BundleHead head_;
    std::unique_ptr<BundleCipher> cipher_;
    std::unique_ptr<ZSTD_CCtx_s, FreeCompressor> compressor_;
    std::string head_text_;
    BundleContents contents_;
    LeafRange leaves_;
    BundledChains::iterator chain_;  // of the entry before
    std::string chunk_;
    std::string compressed_;
    std::uint64_t lines_ = 0;
    std::uint64_t chunks_ = 0;
    std::string output_;
};

}  // namespace auditchain
