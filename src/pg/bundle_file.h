// Reads a bundle from a file, and verifies it: every checksum and link, the tree, the signature.
#pragma once

#include "core/bundle_entry.h"
#include "core/bundle_verify.h"
#include "pg/log.h"

namespace auditchain::pg {

// Takes the entries of a bundle as they are read, before it is known whether it is intact. The
// entry's chain is its name. May raise errors.
struct BundleEntryReceiver {
    void (*take)(void* state, const BundledEntry& entry);
    void* state;
};

// What was read. All of it lives in the memory context that was current.
struct BundleFileContents {
    const char* unusable;  // why it could not be read to its end; nullptr: it was
    std::int64_t size;
    Digest sha256;
    const BundleVerdict* verdict;  // nullptr if it was not
};

// Reads a bundle of the log from the beginning of a file to its end, decrypting it with the
// server's archive keys. Memory does not grow with its entries. Whether its signature is one of the
// log's is left to foreign_tree(). `receiver` may be nullptr. SPI is not needed.
BundleFileContents read_bundle_file(int fd, const Log& log, const BundleEntryReceiver* receiver);

// What is wrong with what an intact bundle says of its log: it is of another, or of a tree that the
// log has neither sealed nor signed; nullptr: nothing. SPI is connected; it looks in the active
// snapshot.
const char* foreign_tree(const Log& log, const BundleVerdict& verdict);

// Reports what a verdict has found, or why there is none, as violations.
struct ViolationReceiver;
void report_bundle(const BundleFileContents& contents, const ViolationReceiver& receiver);

// Text out of a bundle, UTF-8 if it is not forged, as this server's; palloc'd.
const char* bundle_text(std::string_view text);

}  // namespace auditchain::pg
