#include "pg/note_fault.h"

#include "core/checkpoint.h"
#include "core/malformed.h"
#include "core/note.h"
#include "pg/barrier.h"
#include "pg/entry.h"
#include "pg/incarnation.h"
#include "pg/key_ring.h"

#include <openssl/crypto.h>

namespace auditchain::pg {

const char* note_fault(const Log& log, const TreeHead& head) {
    if (head.note == nullptr) {
        return nullptr;
    }
    if (head.verifier_key == nullptr) {
        return "its verifier key is missing";
    }
    const char* origin = newest_incarnation(log).origin;
    Ed25519Seed seed;
    bool have_key = signing_key(&seed);
    const char* fault = nullptr;
    Sha256& hasher = sha256();
    barrier([&] {
        try {
            const VerifierKey key = parse_verifier_key(hasher, head.verifier_key);
            const Note note = parse_note(head.note);
            const Checkpoint checkpoint = parse_checkpoint(note.text);
            const VerifierKey clock = {key.name, SignatureType::cosignature, key.key};
            if (verify_note(hasher, note, key).result != SignatureCheck::valid ||
                verify_note(hasher, note, clock).result != SignatureCheck::valid) {
                fault = "its signature is not valid";
            } else if (checkpoint.size != static_cast<std::uint64_t>(head.size) ||
                       checkpoint.root != head.root || checkpoint.origin != origin ||
                       key.name != origin) {
                fault = "its note is of another checkpoint";
            } else if (have_key && Ed25519PrivateKey::from_seed(seed).public_key() != key.key) {
                fault = "it is signed by another key than the server's";
            }
        } catch (const Malformed&) {
            fault = "its note is none";
        }
        OPENSSL_cleanse(seed.data(), seed.size());
    });
    return fault;
}

}  // namespace auditchain::pg
