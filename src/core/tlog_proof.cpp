#include "tlog_proof.h"

#include <stdexcept>

#include "base64.h"
#include "lines.h"
#include "malformed.h"
#include "merkle.h"
#include "merkle_proof.h"

namespace auditchain {
namespace {

constexpr std::string_view kHeader = "c2sp.org/tlog-proof@v1";
constexpr std::string_view kExtra = "extra ";
constexpr std::string_view kIndex = "index ";
constexpr std::size_t kMaxHashes = 63;  // the audit path in a tree of kMaxTreeSize leaves

/// Take the next line or throw Malformed.
std::string_view need_line(std::string_view& text) {
    const auto line = take_line(text);
    if (!line) {
        throw Malformed("the proof ends before its checkpoint");
    }
    return *line;
}

}  // namespace

std::string format_tlog_proof(const TlogProof& proof) {
    std::string text = std::string(kHeader) + "\n";
    if (!proof.extra.empty()) {
        text.append(kExtra).append(to_base64(proof.extra)).append("\n");
    }
    text.append(kIndex).append(to_decimal(proof.index)).append("\n");
    for (const Digest& hash : proof.hashes) {
        text.append(to_base64(hash)).append("\n");
    }
    text.append("\n").append(proof.checkpoint);
    try {
        if (parse_tlog_proof(text) == proof) {
            return text;
        }
    } catch (const Malformed&) {
    }
    throw std::invalid_argument("these are not the parts of a proof");
}

TlogProof parse_tlog_proof(std::string_view text) {
    TlogProof proof;
    if (need_line(text) != kHeader) {
        throw Malformed("the proof does not begin with the line c2sp.org/tlog-proof@v1");
    }
    std::string_view line = need_line(text);
    if (line.starts_with(kExtra)) {
        auto extra = from_base64(line.substr(kExtra.size()));
        if (!extra || extra->empty()) {
            throw Malformed("the extra data in the proof is not in base64");
        }
        proof.extra = std::move(*extra);
        line = need_line(text);
    }
    const auto index = line.starts_with(kIndex)
                           ? parse_decimal(line.substr(kIndex.size()), kMaxTreeSize - 1)
                           : std::nullopt;
    if (!index) {
        throw Malformed("the proof has no line with the index of the entry");
    }
    proof.index = *index;
    for (line = need_line(text); !line.empty(); line = need_line(text)) {
        const auto hash = digest_from_base64(line);
        if (!hash) {
            throw Malformed("a hash in the proof is not 32 bytes in base64");
        }
        if (proof.hashes.size() == kMaxHashes) {
            throw Malformed("the proof has more than 63 hashes");
        }
        proof.hashes.push_back(*hash);
    }
    if (text.empty()) {
        throw Malformed("the proof ends before its checkpoint");
    }
    proof.checkpoint = text;
    return proof;
}

const char* message(ProofCheck check) noexcept {
    switch (check) {
        case ProofCheck::valid:
            return "The proof is valid.";
        case ProofCheck::unsigned_checkpoint:
            return "The checkpoint is not signed by the key of the log.";
        case ProofCheck::invalid_signature:
            return "The signature of the checkpoint is not valid.";
        case ProofCheck::wrong_origin:
            return "The checkpoint is of another log.";
        case ProofCheck::not_included:
            return "The hashes do not lead from the entry to the root of the checkpoint.";
    }
    return "";
}

ProofVerdict verify_tlog_proof(Sha256& sha256, std::string_view proof, std::string_view leaf,
                               const VerifierKey& log_key) {
    if (log_key.type != SignatureType::ed25519) {
        throw std::invalid_argument("the key of a witness cannot stand for that of a log");
    }
    const TlogProof parsed = parse_tlog_proof(proof);
    const Note note = parse_note(parsed.checkpoint);
    ProofVerdict verdict;
    verdict.index = parsed.index;
    switch (verify_note(sha256, note, log_key).result) {
        case SignatureCheck::valid:
            break;
        case SignatureCheck::invalid:
            verdict.check = ProofCheck::invalid_signature;
            return verdict;
        case SignatureCheck::absent:
            verdict.check = ProofCheck::unsigned_checkpoint;
            return verdict;
    }
    verdict.checkpoint = parse_checkpoint(note.text);
    const Checkpoint& tree = verdict.checkpoint;
    if (tree.origin != log_key.name) {
        verdict.check = ProofCheck::wrong_origin;
        return verdict;
    }
    const bool included = verify_inclusion(sha256, leaf_hash(sha256, leaf), parsed.index, tree.size,
                                           parsed.hashes, tree.root);
    verdict.check = included ? ProofCheck::valid : ProofCheck::not_included;
    return verdict;
}

}  // namespace auditchain
