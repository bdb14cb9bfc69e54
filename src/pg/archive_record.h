// What is on record of archives, and whether that is what was recorded: the ranges in auditchain's
// tables count for what the log of operations has a digest of.
#pragma once

#include "pg/archived_range.h"
#include "pg/verify.h"

namespace auditchain::pg {

struct ArchiveTotals {
    std::int64_t entries;
    std::int32_t chains;
    std::int64_t ranges;
    Digest digest;  // over the log's identity, the archive's number and its ranges (docs/format.md)
};

// Reads the ranges of an archive. SPI is connected; the active snapshot sees them.
ArchiveTotals read_archive_totals(const Log& log, std::int64_t archive);

// What the archives of the log account for.
struct ArchivedPart {
    std::int64_t entries;
    std::int32_t archives;
};

// Reports archives whose ranges are not those that were recorded when they were made
// (archive_mismatch), and a log of operations that is not intact. SPI is connected.
ArchivedPart verify_archive_records(const Log& log, const ViolationReceiver& receiver);

// What is wrong with the log of operations; nullptr: nothing, it is there and intact.
const char* operations_fault();

// What is wrong with the record of one archive, as the log of operations has it, which is there;
// palloc'd, nullptr: nothing.
const char* archive_fault(const Log& log, std::int64_t archive, const ArchiveTotals& totals);

// As hex, palloc'd.
const char* digest_text(const Digest& digest);

}  // namespace auditchain::pg
