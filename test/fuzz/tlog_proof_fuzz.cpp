// Fuzzes the parser of proofs, which are written back byte for byte, and the verification of their
// hashes.
//
//     build-fuzz/test/fuzz/tlog_proof_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "malformed.h"
#include "merkle_proof.h"
#include "require.h"
#include "tlog_proof.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace auditchain;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    Sha256 sha256;
    try {
        const TlogProof proof = parse_tlog_proof(input);
        require(format_tlog_proof(proof) == input);
        const Digest zeros;
        for (const std::uint64_t leaves : {proof.index, proof.index + 1, 2 * proof.index + 1}) {
            // Zeros hash to nothing that the fuzzer knows a proof for, but the leaf alone.
            require(!verify_inclusion(sha256, zeros, proof.index, leaves, proof.hashes, zeros) ||
                    (leaves == 1 && proof.hashes.empty()));
            verify_consistency(sha256, proof.index, zeros, leaves, zeros, proof.hashes);
        }
        verify_tlog_proof(sha256, input, "leaf", {"log", SignatureType::ed25519, {}});
    } catch (const Malformed&) {
    }
    return 0;
}
