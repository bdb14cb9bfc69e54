#pragma once

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "checkpoint.h"
#include "digest.h"
#include "note.h"
#include "sha256.h"

namespace auditchain {

/// The tree of a log that a witness has accepted last.
struct WitnessedTree {
    std::uint64_t size = 0;
    Digest root{};
};

/// What a witness makes of a checkpoint.
enum class WitnessVerdict : std::uint8_t {
    accepted,       ///< signed, of this log, and going on from the last tree, or the same
    bad_signature,  ///< not signed by the key
    wrong_log,      ///< of another log, or in another name than the key's
    rolled_back,    ///< of fewer entries than the last
    forked,         ///< of other entries than the last, or not shown to go on from it
};

/// Return the verdict in a word, such as "rolled_back".
const char* name(WitnessVerdict verdict) noexcept;

/// The result of judge_checkpoint().
struct WitnessJudgement {
    WitnessVerdict verdict = WitnessVerdict::bad_signature;
    Checkpoint checkpoint{};  ///< read only once its signature is valid; else empty
    std::uint64_t time = 0;   ///< of the log's own cosignature, in seconds since 1970; 0: none
};

/// Judge a checkpoint of the log with this id by the last tree that was accepted of it, if any, and
/// the proof that it goes on from there. The origin may differ: a log that was restored goes on in
/// another name, but with the same tree.
/// Throws Malformed if the note is none, std::runtime_error if OpenSSL fails.
WitnessJudgement judge_checkpoint(Sha256& sha256, std::string_view log_id, const VerifierKey& key,
                                  std::string_view note, const std::optional<WitnessedTree>& last,
                                  std::span<const Digest> proof);

}  // namespace auditchain
