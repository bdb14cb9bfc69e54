#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "checkpoint.h"
#include "digest.h"
#include "note.h"
#include "sha256.h"

namespace auditchain {

/// A proof that an entry is in a log, to be checked without the log (C2SP tlog-proof).
struct TlogProof {
    std::uint64_t index = 0;     ///< of the leaf, from 0
    std::vector<Digest> hashes;  ///< audit path from the leaf up
    std::string checkpoint;      ///< a signed note whose text is a Checkpoint
    std::string extra = {};      ///< bytes that nothing vouches for

    bool operator==(const TlogProof&) const = default;
};

/// Return the proof as text:
///
///     c2sp.org/tlog-proof@v1
///     extra <base64>                (only if there is any)
///     index <index>
///     <base64 of a hash>            (any number of lines)
///                                   (an empty line)
///     <checkpoint>
///
/// Throws std::invalid_argument if parse_tlog_proof() would refuse it.
std::string format_tlog_proof(const TlogProof& proof);

/// Read a proof; format_tlog_proof() gives back the same bytes. The checkpoint is not parsed.
/// Throws Malformed if it is none.
TlogProof parse_tlog_proof(std::string_view text);

/// What verify_tlog_proof() found.
enum class ProofCheck : std::uint8_t {
    valid,
    unsigned_checkpoint,  ///< the log's key has not signed the checkpoint
    invalid_signature,    ///< a signature in the name of the log's key is not by it
    wrong_origin,         ///< the checkpoint is of another log
    not_included,         ///< the hashes do not lead from this leaf at this index to the root
};

/// Return a sentence for a user, such as "The proof is valid.".
const char* message(ProofCheck check) noexcept;

/// The result of verify_tlog_proof().
struct ProofVerdict {
    ProofCheck check = ProofCheck::unsigned_checkpoint;
    std::uint64_t index = 0;
    Checkpoint checkpoint;  ///< read only once its signature is valid; else empty
};

/// Verify that a proof shows a leaf to be in the log whose key is given. The key's name is the
/// log's origin: the same Ed25519 key may sign for many logs, so that both must match.
/// Throws Malformed if the proof, its note or its checkpoint is, std::invalid_argument if the key
/// is not of type ed25519, std::runtime_error if OpenSSL fails.
ProofVerdict verify_tlog_proof(Sha256& sha256, std::string_view proof, std::string_view leaf,
                               const VerifierKey& log_key);

}  // namespace auditchain
