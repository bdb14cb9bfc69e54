#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle_chunk.h"
#include "bundle_cipher.h"
#include "digest.h"

namespace auditchain {

// What a bundle says about itself (docs/bundle.md): bundle.json at its beginning, and manifest.json
// at its end, which goes on where bundle.json ends.

inline constexpr std::string_view kBundleReadme = "README.txt";
inline constexpr std::string_view kBundleHead = "bundle.json";
inline constexpr std::string_view kBundleNote = "checkpoint.note";
inline constexpr std::string_view kBundleKey = "checkpoint.vkey";
inline constexpr std::string_view kBundleManifest = "manifest.json";

/// Return the name of a file of entries, counted from 1.
std::string bundle_entries_name(std::uint64_t number, bool encrypted);

/// How the data key of an encrypted bundle is wrapped.
struct BundleEncryption {
    std::string key_id;  ///< archive_key_id() of the key that wraps it
    WrappedKey wrapped_key{};
};

/// What is known when a bundle is begun.
struct BundleHead {
    std::uint64_t created_at = 0;  ///< in seconds since 1970
    std::string created_by;        ///< program and version
    std::string log_name;
    std::string log_id;  ///< a UUID in lower case
    std::string origin;  ///< of the log's newest incarnation
    std::uint64_t tree_size = 0;
    Digest root{};
    std::string since;    ///< the period that was asked for, RFC 3339; empty: not bounded
    std::string until;    ///< the first moment behind it
    std::string context;  ///< JSON of whoever made the bundle, such as a policy; empty: none
    std::optional<BundleEncryption> encryption;
};

/// A file of a bundle.
struct BundleFile {
    std::string name;
    std::uint64_t size = 0;
    Digest sha256;

    bool operator==(const BundleFile&) const = default;
};

/// What is known at the end.
struct BundleContents {
    std::uint64_t entries = 0;
    std::uint64_t bytes = 0;        ///< of their payloads
    BundledChains chains;           ///< whose parts' ends have the stored checksum twice
    std::vector<BundleFile> files;  ///< all but manifest.json, in their order
};

/// Return bundle.json.
std::string format_bundle_head(const BundleHead& head);

/// Read bundle.json of a bundle whose files were last changed at `time`; format_bundle_head() gives
/// back the same bytes. Throws Malformed if it is none, or of another format.
BundleHead parse_bundle_head(std::string_view text, std::uint64_t time);

/// Return manifest.json of a bundle with this bundle.json.
std::string format_bundle_manifest(std::string_view head, const BundleContents& contents);

/// Read manifest.json; format_bundle_manifest() gives back the same bytes.
/// Throws Malformed if it is none, or does not begin as this bundle.json.
BundleContents parse_bundle_manifest(std::string_view head, std::string_view text);

/// Return a time as RFC 3339 has it, in UTC: 2026-05-09T14:22:08Z.
std::string format_utc(std::uint64_t time);

}  // namespace auditchain
