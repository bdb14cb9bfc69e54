#include "receipt_audit.h"

#include <algorithm>
#include <ctime>
#include <utility>

#include "checksum.h"
#include "leaf.h"
#include "lines.h"

namespace auditchain {
namespace {

constexpr const char* kUnsealed = "epoch_unsealed";
constexpr const char* kSealInvalid = "seal_invalid";
constexpr const char* kEpochMismatch = "epoch_mismatch";

std::string utc(std::uint64_t time) {
    const auto seconds = static_cast<std::time_t>(time);
    std::tm parts{};
    char text[32];
    gmtime_r(&seconds, &parts);
    return std::string(text, std::strftime(text, sizeof text, "%Y-%m-%d %H:%M:%S UTC", &parts));
}

std::string plural(std::uint64_t count, const char* one, const char* many) {
    return to_decimal(count) + " " + (count == 1 ? one : many);
}

bool covers(const std::vector<EpochRange>& ranges, std::uint32_t epoch) {
    return std::any_of(ranges.begin(), ranges.end(), [epoch](const EpochRange& range) {
        return range.first <= epoch && epoch <= range.last;
    });
}

}  // namespace

ReceiptAudit::ReceiptAudit(Sha256& sha256, AuditGrounds grounds, std::vector<OfferedSeal> seals)
    : sha256_(sha256),
      grounds_(std::move(grounds)),
      now_epoch_(epoch_at(grounds_.seed, grounds_.now)) {
    accept_seals(std::move(seals));
    check_epochs();
    compare_roots();
}

ReceiptAudit::~ReceiptAudit() {
    erase(grounds_.seed.secret);
    for (EpochSecret& epoch : secrets_) {
        erase(epoch.secret);
    }
}

std::vector<AuditFinding> ReceiptAudit::take_findings() {
    return std::exchange(findings_, {});
}

void ReceiptAudit::find(const char* kind, std::string detail) {
    findings_.push_back({kind, {}, 0, std::move(detail)});
}

const ReceiptSecret& ReceiptAudit::secret_of(std::uint32_t epoch) {
    while (secrets_.size() <= epoch) {
        evolve(&grounds_.seed, static_cast<std::uint32_t>(secrets_.size()));
        secrets_.push_back({grounds_.seed.secret});
    }
    return secrets_[epoch].secret;
}

/// Keep the seals that were made with the keys of their epochs. Of epochs to come, but for a clock
/// that is a little late, there are none: nobody has to compute keys without end.
void ReceiptAudit::accept_seals(std::vector<OfferedSeal> offered) {
    std::sort(offered.begin(), offered.end(), [](const OfferedSeal& a, const OfferedSeal& b) {
        return std::pair(a.seal.epoch, a.seal.size) < std::pair(b.seal.epoch, b.seal.size);
    });
    for (const auto& [seal, mac] : offered) {
        const std::string name = "the seal of epoch " + to_decimal(seal.epoch);
        if (seal.epoch > std::uint64_t{now_epoch_} + 1) {
            find(kSealInvalid, name + " is of an epoch that is to come");
        } else if (!equal_in_constant_time(
                       epoch_seal_mac(secret_of(seal.epoch), grounds_.log_id, seal), mac)) {
            find(kSealInvalid, name + " was not made with the key of that epoch");
        } else if (!seals_.empty() && seal.size < seals_.back().size) {
            find(kSealInvalid, name + " is of " + plural(seal.size, "entry", "entries") +
                                   ", fewer than that of epoch " + to_decimal(seals_.back().epoch));
        } else {
            seals_.push_back(seal);
        }
    }
}

/// Whether an epoch is sealed near enough to its end; `place` is that of the first seal of this
/// epoch or a later one, and grows with the epochs asked for.
bool ReceiptAudit::is_sealed_to_its_end(std::uint32_t epoch, std::size_t* place) const {
    while (*place < seals_.size() && seals_[*place].epoch < epoch) {
        ++*place;
    }
    return *place < seals_.size() && seals_[*place].epoch == epoch &&
           seals_[*place].time + grounds_.max_age >= end_of_epoch(grounds_.seed, epoch);
}

/// Each epoch that is over must be sealed. Who has the key of a later one can remove its seal, or
/// put an earlier one of the same epoch in its place, and make none.
void ReceiptAudit::check_epochs() {
    std::size_t place = 0;
    for (std::uint32_t epoch = 0; epoch < now_epoch_; ++epoch) {
        if (covers(grounds_.unsealed, epoch) || is_sealed_to_its_end(epoch, &place)) {
            continue;
        }
        const std::uint32_t first = epoch;
        while (epoch + 1 < now_epoch_ && !covers(grounds_.unsealed, epoch + 1) &&
               !is_sealed_to_its_end(epoch + 1, &place)) {
            ++epoch;
        }
        const bool one = first == epoch;
        const std::uint64_t begin = end_of_epoch(grounds_.seed, first) - grounds_.seed.length;
        find(kUnsealed, (one ? "epoch " + to_decimal(first) + " is"
                             : "epochs " + to_decimal(first) + "-" + to_decimal(epoch) + " are") +
                            " not sealed to " + (one ? "its end" : "their ends") + ": " +
                            utc(begin) + " to " + utc(end_of_epoch(grounds_.seed, epoch)));
    }
}

void ReceiptAudit::append(std::string_view leaf) {
    tree_.append(sha256_, leaf_hash(sha256_, leaf));
    compare_roots();
}

/// Compare the seals whose trees have as many leaves as ours has now.
void ReceiptAudit::compare_roots() {
    for (; next_seal_ < seals_.size() && seals_[next_seal_].size == tree_.size(); ++next_seal_) {
        if (tree_.root(sha256_) == seals_[next_seal_].root) {
            proven_ = mismatches_ == 0 ? tree_.size() : proven_;
        } else if (mismatches_++ == 0) {
            first_mismatch_ = next_seal_;
        }
    }
}

bool ReceiptAudit::is_made_by(const Receipt& receipt, std::size_t secret,
                              std::string_view chain_key, std::string_view leaf) {
    if (!maker_ || made_.evolving != receipt.evolving || made_.epoch != receipt.epoch ||
        made_with_ != secret || made_for_ != chain_key) {
        maker_.emplace(
            receipt.evolving ? secret_of(receipt.epoch) : grounds_.plain->secrets[secret],
            chain_key);
        made_ = receipt;
        made_with_ = secret;
        made_for_ = chain_key;
    }
    return equal_in_constant_time((*maker_)(leaf), receipt.mac);
}

ReceiptAudit::Run ReceiptAudit::judge_receipt(Chain& chain, const OfferedEntry& entry) {
    const Run invalid = {"receipt_invalid", 0, 0, "no key that was given makes the receipt"};
    const std::string leaf =
        entry_leaf(grounds_.log_id, entry.chain, entry.position, entry.checksum);
    const std::string_view key = entry.chain.substr(0, entry.chain.rfind('/'));
    if (!entry.receipt) {
        return invalid;
    }
    const Receipt& receipt = *entry.receipt;
    if (!receipt.evolving) {
        for (std::size_t secret = 0; secret < grounds_.plain->count; ++secret) {
            if (is_made_by(receipt, secret, key, leaf)) {
                return {};
            }
        }
        return invalid;
    }
    if (receipt.epoch > std::uint64_t{now_epoch_} + 1) {
        return {kEpochMismatch, 0, 0, "the receipt is of an epoch that is to come"};
    }
    if (!is_made_by(receipt, 0, key, leaf)) {
        return invalid;
    }
    if (receipt.epoch < chain.epoch) {
        return {kEpochMismatch, 0, 0, "the receipt is of an earlier epoch than one before it"};
    }
    if (entry.sealed && next_seal_ < seals_.size() && receipt.epoch > seals_[next_seal_].epoch) {
        return {kEpochMismatch, 0, 0, "the receipt is of a later epoch than the seal of the entry"};
    }
    chain.epoch = receipt.epoch;
    return {};
}

/// What is wrong with an entry: the first of the checks that fails.
ReceiptAudit::Run ReceiptAudit::judge(Chain& chain, const OfferedEntry& entry) {
    if (entry.position <= chain.position) {
        return {"entry_duplicated", 0, 0, "another entry is, or should be, at this place"};
    }
    if (entry_checksum(sha256_, entry.previous, entry.payload) != entry.checksum) {
        return {"content_modified", 0, 0, "the entry does not match its checksum"};
    }
    if (entry.position == chain.position + 1 && entry.previous != chain.checksum) {
        return {"link_broken", 0, 0, "the entry does not follow the one before it"};
    }
    return judge_receipt(chain, entry);
}

void ReceiptAudit::end_run(const std::string& name, Chain& chain) {
    if (chain.run.kind == nullptr) {
        return;
    }
    std::string detail(chain.run.detail);
    if (chain.run.last > chain.run.first) {
        detail +=
            "; so it is up to position " + to_decimal(static_cast<std::uint64_t>(chain.run.last));
    }
    findings_.push_back({chain.run.kind, name, chain.run.first, std::move(detail)});
    chain.run = {};
}

void ReceiptAudit::add_to_run(const std::string& name, Chain& chain, std::int64_t position,
                              const Run& finding) {
    if (chain.run.kind != nullptr && chain.run.detail == finding.detail &&
        chain.run.last + 1 == position) {
        chain.run.last = position;
        return;
    }
    end_run(name, chain);
    chain.run = finding;
    chain.run.first = chain.run.last = position;
}

void ReceiptAudit::next(const OfferedEntry& entry) {
    const auto place = chains_.try_emplace(std::string(entry.chain)).first;
    Chain& chain = place->second;
    if (entry.position > chain.position + 1) {
        end_run(place->first, chain);
        chain.run = {"entry_missing", chain.position + 1, entry.position - 1, "there is no entry"};
        end_run(place->first, chain);
    }
    const Run finding = judge(chain, entry);
    if (finding.kind != nullptr) {
        add_to_run(place->first, chain, entry.position, finding);
    } else {
        end_run(place->first, chain);
    }
    if (entry.position > chain.position) {
        chain.position = entry.position;
        chain.checksum = entry.checksum;
    }
    ++entries_;
    if (entry.sealed) {
        append(entry_leaf(grounds_.log_id, entry.chain, entry.position, entry.checksum));
    }
}

void ReceiptAudit::end() {
    for (auto& [name, chain] : chains_) {
        end_run(name, chain);
    }
    if (mismatches_ > 0) {
        const EpochSeal& seal = seals_[first_mismatch_];
        std::string detail = "the seal of epoch " + to_decimal(seal.epoch) + ", of " +
                             plural(seal.size, "entry", "entries") + " at " + utc(seal.time) +
                             ", is of other entries than the log has";
        if (mismatches_ > 1) {
            detail += "; so are " + to_decimal(mismatches_ - 1) + " behind it";
        }
        find("checkpoint_mismatch",
             detail + ". The first " + to_decimal(proven_) + " are as they were sealed");
    }
    if (next_seal_ < seals_.size()) {
        const EpochSeal& seal = seals_.back();
        find("tail_missing", "the seal of epoch " + to_decimal(seal.epoch) + " is of " +
                                 plural(seal.size, "entry", "entries") + ", the tree has " +
                                 to_decimal(tree_.size()));
    }
}

}  // namespace auditchain
