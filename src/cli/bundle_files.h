// Verifies bundles that are too big for memory, on all cores.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <vector>

#include "bundle_verify.h"

namespace auditchain::cli {

/// Tells how many bytes were read; called often, by the thread that verifies.
using ReadProgress = std::function<void(std::uint64_t bytes)>;

/// Takes all bytes of a file, in their order.
using ReadBytes = std::function<void(std::string_view bytes)>;

/// Verify the bundle in a file, or what comes from standard input if the path is "-"; the bytes
/// that are verified go to `bytes` as well, if it is there.
/// Throws Unusable if it cannot be read, Malformed if it is no bundle, or none that is whole.
BundleVerdict verify_bundle_file(const std::string& path, const BundleTrust& trust,
                                 const ReadProgress& progress, const ReadBytes& bytes = nullptr);

/// Return what a bundle is of, unverified. Throws Unusable if it cannot be read, Malformed if it is
/// no bundle.
BundleHead read_bundle_head(const std::string& path);

/// Check what can be checked of an encrypted bundle without its key: that it is whole, and all its
/// files are those that its manifest names. Return what that says of it, unverified.
/// Throws Unusable if it cannot be read, Malformed if it is none, or not whole.
BundleContents check_bundle_sums(const std::string& path, const ReadProgress& progress,
                                 const ReadBytes& bytes);

/// What --key and --key-file say to trust: verifier keys, and a file of
/// auditchain.archive_key_file, whose keys go where `archive_keys` says and stay there as long as
/// the result is used. Throws Unusable if one is no key, or the file has none.
BundleTrust read_trust(const std::vector<std::string>& keys, const std::string& key_file,
                       ReceiptSecrets* archive_keys);

}  // namespace auditchain::cli
