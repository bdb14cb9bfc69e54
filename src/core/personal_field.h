#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "aes.h"
#include "sha256.h"

namespace auditchain {

// Personal fields of entries (docs/format.md): values encrypted under a key of the person whom they
// are about, as texts that stand in their place:
//
//     auditchain:v1:<id of the key>:<base64 of nonce, encrypted value and tag>

/// What a value is encrypted for. All UTF-8.
struct FieldPlace {
    std::string_view key_id;   ///< of the subject's key: a UUID as text, 36 characters
    std::string_view member;   ///< name of the field in payloads
    std::string_view subject;  ///< identifier of the subject, as the entry has it
    std::string_view type;     ///< what the text is of: text, json or jsonb
};

/// How long the text is that stands for a value of this size.
std::size_t sealed_field_size(std::size_t size) noexcept;

/// Encrypt a value with AES-256-GCM under a random nonce, for this place and no other.
/// Throws std::length_error for values of 2 GB, std::runtime_error if OpenSSL fails.
std::string seal_field(const AesKey& key, const FieldPlace& place, std::string_view value);

/// Whether a text stands for a value; it may still be malformed.
bool is_sealed_field(std::string_view text) noexcept;

/// Return the id of the key in such a text, as it stands there. Throws Malformed if it has none.
std::string_view key_id_of_field(std::string_view text);

/// Return the value that such a text stands for.
/// Throws Malformed if it was changed, or is of another key or place; std::runtime_error if OpenSSL
/// fails.
std::string open_field(const AesKey& key, const FieldPlace& place, std::string_view text);

/// Return what names a master key, and tells nothing of it: 8 hex digits, the first of
/// SHA-256("auditchain personal key" || key). Throws std::runtime_error if OpenSSL fails.
std::string personal_key_id(Sha256& sha256, const AesKey& key);

}  // namespace auditchain
