// Verifies bundles that are too big for memory, on all cores.
#pragma once

#include <cstdint>
#include <functional>
#include <string>

#include "bundle_verify.h"

namespace auditchain::cli {

/// Tells how many bytes were read; called often, by the thread that verifies.
using ReadProgress = std::function<void(std::uint64_t bytes)>;

/// Verify the bundle in a file, or what comes from standard input if the path is "-".
/// Throws Unusable if it cannot be read, Malformed if it is no bundle, or none that is whole.
BundleVerdict verify_bundle_file(const std::string& path, const BundleTrust& trust,
                                 const ReadProgress& progress);

/// Read the keys in a file of auditchain.archive_key_file. Throws Unusable if there are none.
void read_archive_keys(const std::string& path, ReceiptSecrets* keys);

}  // namespace auditchain::cli
