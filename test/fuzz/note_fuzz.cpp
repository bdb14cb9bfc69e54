// Fuzzes the parsers of notes and of verifier keys: what they accept is written back byte for byte.
//
//     build-fuzz/test/fuzz/note_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "malformed.h"
#include "note.h"
#include "require.h"

namespace {

using namespace auditchain;

void check_note(Sha256& sha256, std::string_view input) {
    Note note;
    try {
        note = parse_note(input);
    } catch (const Malformed&) {
        return;
    }
    require(format_note(note) == input);
    for (const SignatureType type : {SignatureType::ed25519, SignatureType::cosignature}) {
        const VerifierKey key{note.signatures[0].name, type, {}};
        note.signatures[0].key_id = key_id(sha256, key);
        require(verify_note(sha256, note, key).result != SignatureCheck::absent);
    }
}

void check_key(Sha256& sha256, std::string_view input) {
    try {
        require(format_verifier_key(sha256, parse_verifier_key(sha256, input)) == input);
    } catch (const Malformed&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    Sha256 sha256;
    check_note(sha256, input);
    check_key(sha256, input);
    return 0;
}
