// Verification of archives that are files.
#pragma once

#include "pg/bundle_file.h"
#include "pg/verify_archive.h"

namespace auditchain::pg {

// A file as the record of its archive has it.
struct RecordedFile {
    const char* path;  // nullptr: the archive is no file
    std::int64_t size;
    Digest sha256;
};

// SPI is connected, here and below; the active snapshot sees the archive.
RecordedFile read_recorded_file(std::int64_t archive);

// What is wrong with the entries of an intact bundle as those of an archive: it has not got what is
// on record, or has more; palloc'd, nullptr: nothing.
const char* ranges_fault(const Log& log, std::int64_t archive, const BundleVerdict& verdict);

// Reads the file of an archive, and reports what is wrong with it: what the bundle shows, receipts
// included; else, that it is not what was recorded.
ArchivedCheck check_archive_file(const Log& log, std::int64_t archive, const RecordedFile& recorded,
                                 const ViolationReceiver& receiver);

}  // namespace auditchain::pg
