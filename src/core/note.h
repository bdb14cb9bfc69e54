#pragma once

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "ed25519.h"
#include "sha256.h"

namespace auditchain {

// Signed notes (C2SP signed-note) and cosignatures (C2SP tlog-cosignature): a text with signature
// lines under it.

/// Types of signatures, as they stand in keys and are hashed into key ids.
enum class SignatureType : std::uint8_t {
    ed25519 = 0x01,      ///< of the note's text
    cosignature = 0x04,  ///< by a witness, of a time and the note's text
};

/// Who signs, and the public key to verify it with: what a vkey holds.
struct VerifierKey {
    std::string name;
    SignatureType type = SignatureType::ed25519;
    Ed25519PublicKey key{};

    bool operator==(const VerifierKey&) const = default;
};

/// Return the id that signatures by this key carry: the first four bytes, big-endian, of
/// SHA-256(name || 0x0A || type || key). Throws std::runtime_error if OpenSSL fails.
std::uint32_t key_id(Sha256& sha256, const VerifierKey& key);

/// Return the vkey, `<name>+<key id in hex>+<base64 of type and key>`.
/// Throws std::invalid_argument if the name is none, std::runtime_error if OpenSSL fails.
std::string format_verifier_key(Sha256& sha256, const VerifierKey& key);

/// Read a vkey. Throws Malformed if it is none, if its key id does not fit, or if it is of a type
/// that is not known.
VerifierKey parse_verifier_key(Sha256& sha256, std::string_view vkey);

/// Whether signers may be named so: valid UTF-8, not empty, without Unicode spaces, control
/// characters and plus signs.
bool is_key_name(std::string_view name) noexcept;

/// A signature line: `— <name> <base64 of key id and signature>`.
struct NoteSignature {
    std::string name;
    std::uint32_t key_id = 0;
    std::string signature;  ///< of any type; at least one byte

    bool operator==(const NoteSignature&) const = default;
};

/// A text, which ends in a newline, and its signatures. That it was parsed does not mean that any
/// of them is valid: call verify_note().
struct Note {
    std::string text;
    std::vector<NoteSignature> signatures;

    bool operator==(const Note&) const = default;
};

/// No longer note is parsed, and none with more signatures.
inline constexpr std::size_t kMaxNoteSize = std::size_t{1} << 20;
inline constexpr std::size_t kMaxNoteSignatures = 100;

/// Read a note; format_note() gives back the same bytes.
/// Throws Malformed if it is none or exceeds the limits above.
Note parse_note(std::string_view text);

/// Return the note as text. Throws std::invalid_argument if parse_note() would refuse it.
std::string format_note(const Note& note);

/// Sign a note's text. The name is the signer's; for a checkpoint, its origin.
/// Throws std::invalid_argument if the name is none, std::runtime_error if OpenSSL fails.
NoteSignature sign_note(Sha256& sha256, std::string_view text, std::string_view name,
                        const Ed25519PrivateKey& key);

/// Cosign a checkpoint's text at a POSIX time: signs
/// `cosignature/v1\ntime <time>\n<text>`; the signature is the time as 8 bytes, big-endian, and
/// the 64 bytes of Ed25519.
/// Throws std::invalid_argument if the name is none or the time is beyond 2^63 - 1,
/// std::runtime_error if OpenSSL fails.
NoteSignature cosign_note(Sha256& sha256, std::string_view text, std::string_view name,
                          std::uint64_t time, const Ed25519PrivateKey& key);

/// What a note has of one key.
enum class SignatureCheck : std::uint8_t {
    valid,    ///< a valid signature, and no invalid one
    invalid,  ///< a signature with the key's name and id that the key did not make
    absent,   ///< no signature with its name and id
};

/// The result of verify_note().
struct NoteCheck {
    SignatureCheck result = SignatureCheck::absent;
    std::uint64_t time = 0;  ///< of a valid cosignature (the newest, if there are several), else 0
};

/// Verify a note with one key. Signatures by others count for nothing.
/// Throws std::runtime_error if OpenSSL fails.
NoteCheck verify_note(Sha256& sha256, const Note& note, const VerifierKey& key);

}  // namespace auditchain
