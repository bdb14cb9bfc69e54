#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "evolving_key.h"
#include "merkle.h"
#include "receipt.h"
#include "sha256.h"

namespace auditchain {

/// Epochs `first` to `last`.
struct EpochRange {
    std::uint32_t first = 0;
    std::uint32_t last = kMaxEpoch;
};

/// What an auditor knows without the server.
struct AuditGrounds {
    std::string log_id;
    EvolvingKey seed{};                ///< of epoch 0
    const ReceiptSecrets* plain;       ///< secrets that other receipts were made with
    std::vector<EpochRange> unsealed;  ///< in which nobody could seal: the server was down
    std::uint64_t now = 0;             ///< in seconds since 1970
    std::uint64_t max_age = 0;  ///< how long before its end an epoch may have been sealed last, s
};

/// A seal as the server offers it.
struct OfferedSeal {
    EpochSeal seal;
    Digest mac{};
};

/// An entry as the server offers it, with texts that need not outlive the call.
struct OfferedEntry {
    std::string_view chain;  ///< name of the chain
    std::int64_t position = 0;
    Digest previous{};
    Digest checksum{};
    std::optional<Receipt> receipt;  ///< nothing: the row has none
    std::string_view payload;
    bool sealed = false;  ///< it is the next leaf of the tree
};

/// What an audit finds; no chain where it is of the log as a whole.
struct AuditFinding {
    const char* kind = "";
    std::string chain;
    std::int64_t position = 0;
    std::string detail;
};

/// Checks the receipts of a log by the seed of its evolving key, and that nobody who got hold of
/// the key of a later epoch has rewritten, cut off or re-dated what was sealed before: each epoch
/// must be sealed up to its end, each seal be made with its epoch's key and be of the tree that the
/// entries give, and no entry in it have a receipt of a later epoch.
///
/// Takes the seals first, then the entries: those in the tree as its leaves are ordered, then the
/// others by chain and position. Believes nothing of them. Memory grows with the epochs and chains,
/// not with the entries.
class ReceiptAudit {
  public:
    /// The hasher must outlive the audit, and so must what the grounds point to.
    ReceiptAudit(Sha256& sha256, AuditGrounds grounds, std::vector<OfferedSeal> seals);
    ~ReceiptAudit();
    ReceiptAudit(const ReceiptAudit&) = delete;
    ReceiptAudit& operator=(const ReceiptAudit&) = delete;

    /// Take the next entry. Throws std::runtime_error if OpenSSL fails.
    void next(const OfferedEntry& entry);

    /// Take the end of the log. Throws std::runtime_error if OpenSSL fails.
    void end();

    /// Return the findings since the last call. A run of entries side by side is one finding, which
    /// comes when it is over.
    std::vector<AuditFinding> take_findings();

    std::uint64_t entries() const noexcept { return entries_; }
    std::uint64_t sealed() const noexcept { return tree_.size(); }
    std::uint64_t seals() const noexcept {
        return seals_.size();
    }  ///< that are what they should be

  private:
    struct EpochSecret {
        ReceiptSecret secret;
    };
    struct Run {
        const char* kind = nullptr;  ///< nullptr: there is none
        std::int64_t first = 0;
        std::int64_t last = 0;
        std::string_view detail;
    };
    struct Chain {
        std::int64_t position = 0;
        Digest checksum{};
        std::uint32_t epoch = 0;
        Run run;
    };

    void find(const char* kind, std::string detail);
    void end_run(const std::string& name, Chain& chain);
    void add_to_run(const std::string& name, Chain& chain, std::int64_t position,
                    const Run& finding);
    Run judge(Chain& chain, const OfferedEntry& entry);
    Run judge_receipt(Chain& chain, const OfferedEntry& entry);
    bool is_made_by(const Receipt& receipt, std::size_t secret, std::string_view chain_key,
                    std::string_view leaf);
    const ReceiptSecret& secret_of(std::uint32_t epoch);
    void accept_seals(std::vector<OfferedSeal> offered);
    void check_epochs();
    bool is_sealed_to_its_end(std::uint32_t epoch, std::size_t* place) const;
    void append(std::string_view leaf);
    void compare_roots();

    Sha256& sha256_;
    AuditGrounds grounds_;
    std::uint32_t now_epoch_;
    std::vector<EpochSecret> secrets_;  ///< of epochs 0, 1, 2 ... as far as they were needed
    std::vector<EpochSeal> seals_;      ///< by epoch, and so by size
    std::vector<AuditFinding> findings_;
    std::map<std::string, Chain, std::less<>> chains_;
    std::uint64_t entries_ = 0;
    Frontier tree_;
    std::size_t next_seal_ = 0;   ///< the first whose tree has not been reached
    std::size_t mismatches_ = 0;  ///< seals of other trees
    std::size_t first_mismatch_ = 0;
    std::uint64_t proven_ = 0;  ///< leaves of the last tree before them
    // What made the newest receipt, and most likely makes the next.
    std::optional<ReceiptMaker> maker_;
    Receipt made_{};             ///< of which epoch, if of any
    std::size_t made_with_ = 0;  ///< plain secret
    std::string made_for_;       ///< key of the chain
};

}  // namespace auditchain
