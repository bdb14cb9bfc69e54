#include "witness.h"

#include "merkle_proof.h"

namespace auditchain {

const char* name(WitnessVerdict verdict) noexcept {
    switch (verdict) {
        case WitnessVerdict::accepted:
            return "accepted";
        case WitnessVerdict::bad_signature:
            return "bad_signature";
        case WitnessVerdict::wrong_log:
            return "wrong_log";
        case WitnessVerdict::rolled_back:
            return "rolled_back";
        case WitnessVerdict::forked:
            return "forked";
    }
    return "unknown";
}

namespace {

WitnessVerdict judge_tree(Sha256& sha256, const Checkpoint& checkpoint, const WitnessedTree& last,
                          std::span<const Digest> proof) {
    if (checkpoint.size < last.size) {
        return WitnessVerdict::rolled_back;
    }
    return verify_consistency(sha256, last.size, last.root, checkpoint.size, checkpoint.root, proof)
               ? WitnessVerdict::accepted
               : WitnessVerdict::forked;
}

}  // namespace

WitnessJudgement judge_checkpoint(Sha256& sha256, std::string_view log_id, const VerifierKey& key,
                                  std::string_view note, const std::optional<WitnessedTree>& last,
                                  std::span<const Digest> proof) {
    const Note parsed = parse_note(note);
    WitnessJudgement judgement;
    if (verify_note(sha256, parsed, key).result != SignatureCheck::valid) {
        return judgement;
    }
    judgement.checkpoint = parse_checkpoint(parsed.text);
    const std::string& origin = judgement.checkpoint.origin;
    const std::string prefix = "auditchain/" + std::string(log_id) + "/";
    if (origin != key.name || !origin.starts_with(prefix)) {
        judgement.verdict = WitnessVerdict::wrong_log;
        return judgement;
    }
    const VerifierKey clock{key.name, SignatureType::cosignature, key.key};
    judgement.time = verify_note(sha256, parsed, clock).time;
    judgement.verdict =
        last ? judge_tree(sha256, judgement.checkpoint, *last, proof) : WitnessVerdict::accepted;
    return judgement;
}

}  // namespace auditchain
