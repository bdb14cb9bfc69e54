#include "note.h"

#include <algorithm>
#include <stdexcept>

#include "base64.h"
#include "lines.h"
#include "malformed.h"
#include "utf8.h"

namespace auditchain {
namespace {

constexpr std::string_view kSignaturePrefix = "\u2014 ";  // em dash, space
constexpr std::size_t kKeyIdSize = 4;
constexpr std::size_t kTimeSize = 8;

std::string big_endian(std::uint64_t number, std::size_t size) {
    std::string bytes(size, '\0');
    for (std::size_t i = size; i-- > 0; number >>= 8) {
        bytes[i] = static_cast<char>(number & 0xFF);
    }
    return bytes;
}

std::uint64_t from_big_endian(std::string_view bytes) noexcept {
    std::uint64_t number = 0;
    for (const char byte : bytes) {
        number = number << 8 | static_cast<unsigned char>(byte);
    }
    return number;
}

template <class Bytes>
std::string_view view(const Bytes& bytes) noexcept {
    return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string type_and_key(const VerifierKey& key) {
    return std::string(1, static_cast<char>(key.type)).append(view(key.key));
}

void require_key_name(std::string_view name) {
    if (!is_key_name(name)) {
        throw std::invalid_argument("not the name of a key");
    }
}

/// What a witness signs.
std::string cosigned_message(std::uint64_t time, std::string_view text) {
    return "cosignature/v1\ntime " + to_decimal(time) + "\n" + std::string(text);
}

void require_note_characters(std::string_view text) {
    while (!text.empty()) {
        const char32_t c = next_code_point(text);
        if (c == kNotUtf8) {
            throw Malformed("the note is not valid UTF-8");
        }
        if (c < 0x20 && c != '\n') {
            throw Malformed("the note contains a control character");
        }
    }
}

NoteSignature parse_signature_line(std::string_view line) {
    if (!line.starts_with(kSignaturePrefix)) {
        throw Malformed("a signature line of the note does not begin with a dash and a space");
    }
    line.remove_prefix(kSignaturePrefix.size());
    const std::size_t space = std::min(line.find(' '), line.size());
    const std::string_view name = line.substr(0, space);
    const auto bytes = from_base64(line.substr(std::min(space + 1, line.size())));
    if (!is_key_name(name)) {
        throw Malformed("a signature line of the note does not name its signer");
    }
    if (!bytes || bytes->size() <= kKeyIdSize) {
        throw Malformed("a signature of the note is not base64 of a key id and a signature");
    }
    return {std::string(name),
            static_cast<std::uint32_t>(from_big_endian(bytes->substr(0, kKeyIdSize))),
            bytes->substr(kKeyIdSize)};
}

/// Verify one signature, and take its time if it is a cosignature.
bool verify_signature(std::string_view text, std::string_view signature, const VerifierKey& key,
                      std::uint64_t& time) {
    std::string cosigned;
    if (key.type == SignatureType::cosignature) {
        if (signature.size() < kTimeSize) {
            return false;
        }
        time = from_big_endian(signature.substr(0, kTimeSize));
        signature.remove_prefix(kTimeSize);
        cosigned = cosigned_message(time, text);
        text = cosigned;
    }
    Ed25519Signature bytes;
    if (signature.size() != bytes.size() || time > INT64_MAX) {
        return false;
    }
    std::copy(signature.begin(), signature.end(), bytes.begin());
    return ed25519_verify(key.key, text, bytes);
}

}  // namespace

bool is_key_name(std::string_view name) noexcept {
    if (name.empty()) {
        return false;
    }
    while (!name.empty()) {
        const char32_t c = next_code_point(name);
        if (c == kNotUtf8 || c < 0x20 || c == '+' || is_unicode_space(c)) {
            return false;
        }
    }
    return true;
}

std::uint32_t key_id(Sha256& sha256, const VerifierKey& key) {
    const Digest digest = sha256({key.name, "\n", type_and_key(key)});
    return static_cast<std::uint32_t>(from_big_endian(view(digest.bytes).substr(0, kKeyIdSize)));
}

std::string format_verifier_key(Sha256& sha256, const VerifierKey& key) {
    require_key_name(key.name);
    const std::string id = big_endian(key_id(sha256, key), kKeyIdSize);
    std::string hex(2 * kKeyIdSize, '\0');
    write_hex(reinterpret_cast<const std::uint8_t*>(id.data()), id.size(), hex.data());
    return key.name + "+" + hex + "+" + to_base64(type_and_key(key));
}

VerifierKey parse_verifier_key(Sha256& sha256, std::string_view vkey) {
    const std::size_t name_end = vkey.find('+');
    const std::size_t id_end = name_end == vkey.npos ? vkey.npos : vkey.find('+', name_end + 1);
    if (id_end == vkey.npos || !is_key_name(vkey.substr(0, name_end))) {
        throw Malformed("a verifier key has the form <name>+<key id>+<key>");
    }
    const auto bytes = from_base64(vkey.substr(id_end + 1));
    VerifierKey key;
    key.name = vkey.substr(0, name_end);
    if (!bytes || bytes->empty()) {
        throw Malformed("the verifier key is not in base64");
    }
    key.type = static_cast<SignatureType>(bytes->front());
    if (key.type != SignatureType::ed25519 && key.type != SignatureType::cosignature) {
        throw Malformed("the verifier key is of a type that is not known");
    }
    if (bytes->size() != 1 + key.key.size()) {
        throw Malformed("the verifier key does not have the length of an Ed25519 key");
    }
    std::copy(bytes->begin() + 1, bytes->end(), key.key.begin());
    if (format_verifier_key(sha256, key) != vkey) {
        throw Malformed("the key id in the verifier key is not that of its name and key");
    }
    return key;
}

Note parse_note(std::string_view text) {
    if (text.size() > kMaxNoteSize) {
        throw Malformed("the note is longer than 1 MiB");
    }
    require_note_characters(text);
    const std::size_t blank = text.rfind("\n\n");
    if (blank == text.npos) {
        throw Malformed("the note has no empty line between its text and its signatures");
    }
    Note note;
    note.text = text.substr(0, blank + 1);
    text.remove_prefix(blank + 2);
    while (const auto line = take_line(text)) {
        if (note.signatures.size() == kMaxNoteSignatures) {
            throw Malformed("the note has more than 100 signatures");
        }
        note.signatures.push_back(parse_signature_line(*line));
    }
    if (!text.empty()) {
        throw Malformed("the note does not end with a newline");
    }
    if (note.signatures.empty()) {
        throw Malformed("the note has no signature");
    }
    return note;
}

std::string format_note(const Note& note) {
    std::string text = note.text + "\n";
    for (const NoteSignature& signature : note.signatures) {
        text.append(kSignaturePrefix).append(signature.name).append(" ");
        text.append(to_base64(big_endian(signature.key_id, kKeyIdSize) + signature.signature));
        text.append("\n");
    }
    try {
        if (parse_note(text) == note) {
            return text;
        }
    } catch (const Malformed&) {
    }
    throw std::invalid_argument("this is not the text and the signatures of a note");
}

NoteSignature sign_note(Sha256& sha256, std::string_view text, std::string_view name,
                        const Ed25519PrivateKey& key) {
    require_key_name(name);
    const VerifierKey signer{std::string(name), SignatureType::ed25519, key.public_key()};
    return {signer.name, key_id(sha256, signer), std::string(view(key.sign(text)))};
}

NoteSignature cosign_note(Sha256& sha256, std::string_view text, std::string_view name,
                          std::uint64_t time, const Ed25519PrivateKey& key) {
    require_key_name(name);
    if (time > INT64_MAX) {
        throw std::invalid_argument("the time of a cosignature is beyond 2^63 - 1");
    }
    const VerifierKey signer{std::string(name), SignatureType::cosignature, key.public_key()};
    const Ed25519Signature signature = key.sign(cosigned_message(time, text));
    return {signer.name, key_id(sha256, signer),
            big_endian(time, kTimeSize).append(view(signature))};
}

NoteCheck verify_note(Sha256& sha256, const Note& note, const VerifierKey& key) {
    NoteCheck check;
    const std::uint32_t id = key_id(sha256, key);
    for (const NoteSignature& signature : note.signatures) {
        if (signature.name != key.name || signature.key_id != id) {
            continue;
        }
        std::uint64_t time = 0;
        if (!verify_signature(note.text, signature.signature, key, time)) {
            return {SignatureCheck::invalid, 0};
        }
        check = {SignatureCheck::valid, std::max(check.time, time)};
    }
    return check;
}

}  // namespace auditchain
