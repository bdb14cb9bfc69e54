#pragma once

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle_chunk.h"
#include "bundle_cipher.h"
#include "bundle_manifest.h"
#include "bundle_tar.h"
#include "leaf_range.h"
#include "note.h"
#include "receipt.h"
#include "sha256.h"

namespace auditchain {

/// What a bundle is verified with.
struct BundleTrust {
    const ReceiptSecrets* archive_keys = nullptr;  ///< to decrypt with; must outlive the verifier
    /// Who may have signed, in the name of the log and of any incarnation of it; none: whoever the
    /// bundle names.
    std::vector<VerifierKey> signers;
};

/// A file of entries, to be looked at by look_at(), by whatever thread.
struct BundleWork {
    TarFile file;
    std::uint64_t number;  ///< from 1
    std::string_view log_id;
    const BundleCipher* cipher;  ///< nullptr: not encrypted
};

/// What look_at() found.
struct BundleResult {
    BundleFile file;
    BundleChunk chunk;
};

/// Return the lines of a file of entries (bundle_entry.h), decrypted and decompressed.
/// Throws Malformed if it cannot be read, std::runtime_error if OpenSSL fails.
std::string read_lines(const BundleWork& work);

/// Check a file of entries, whose lines read_lines() has returned, or the caller has not got.
/// Both throw as read_lines() does.
BundleResult look_at(Sha256& sha256, const BundleWork& work, std::string_view lines);
BundleResult look_at(Sha256& sha256, const BundleWork& work);

/// What the verification of a bundle says.
struct BundleVerdict {
    BundleHead head;
    /// Empty: it is intact. Behind kMaxBundleFindings, one says how many more there are.
    std::vector<BundleFinding> findings;
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;  ///< of payloads
    BundledChains chains;
    std::string signer;           ///< verifier key of the checkpoint; empty: it is not signed
    bool signer_trusted = false;  ///< it is one of BundleTrust::signers
    std::uint64_t sealed_at = 0;  ///< when the log itself cosigned the checkpoint; 0: not known
};

/// Verifies a bundle whose files it is given in their order. What it says:
///
///     BundleVerifier verifier(trust);
///     while (auto file = tar.next()) {
///         if (auto work = verifier.take(std::move(*file), tar.time())) {
///             verifier.add(look_at(sha256, *work));   // or by another thread; added in order
///         }
///     }
///     tar.finish();
///     const BundleVerdict verdict = verifier.finish();
///
/// One cause gives one violation: that a root or a sum does not match is told only where no entry
/// does explain it. Memory grows with the number of chains and of their parts, not of entries.
class BundleVerifier {
  public:
    explicit BundleVerifier(BundleTrust trust) : trust_(std::move(trust)) {}

    /// Take the next file, and give it back if it is one of entries.
    /// Throws Malformed if it is not what a bundle has at this place.
    std::optional<BundleWork> take(TarFile file, std::uint64_t time);

    /// Add what a file of entries was found to have.
    void add(BundleResult result);

    /// Return the verdict. Throws Malformed if the bundle has no end, or says other things about
    /// itself than it has.
    BundleVerdict finish();

  private:
    void take_head(const std::string& text, std::uint64_t time);
    void take_key(std::string_view text);
    void check_signature(const VerifierKey& key);
    void refuse_checkpoint(std::string detail);
    void check_parts();
    void check_tree();
    void check_contents();
    void add_finding(BundleFinding finding);

    enum class Next : std::uint8_t { readme, head, note, key, entries, end };

    BundleTrust trust_;
    Sha256 sha256_;
    Next next_ = Next::readme;
    std::string head_text_;
    Note note_;
    std::unique_ptr<BundleCipher> cipher_;
    BundleVerdict verdict_;
    std::uint64_t more_findings_ = 0;
    std::vector<BundleFinding> of_checkpoint_;  // which explain nothing
    std::vector<BundleFile> files_;
    LeafRange leaves_;
    bool leaves_in_order_ = true;
    std::uint64_t chunks_ = 0;
    BundleContents manifest_;
};

}  // namespace auditchain
