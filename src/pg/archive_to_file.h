// Archives in files: the part of archive() that is about these.
#pragma once

#include "core/digest.h"
#include "pg/log.h"

namespace auditchain::pg {

struct OwnedFile;

// A bundle below auditchain.archive_directory.
struct ArchiveFile {
    const char* directory;  // path of it
    const char* partial;    // name of the file in it, until it is known to be whole
    OwnedFile* handle;      // of the directory
    OwnedFile* file;
    const char* path;  // of the file, once it is finished
    std::int64_t size;
    Digest sha256;
};

// Writes the bundle of an archive, whose ranges are on record, and flushes it to disk; encrypted
// where the server has an archive key. SPI is connected. The active snapshot sees the entries
// and not yet the record: in it, the entries are still in the log.
ArchiveFile begin_archive_file(const Log& log, std::int64_t archive, const char* directory);

// Reads it again and errors unless it is intact and has what is on record, which the active
// snapshot now sees. Then gives it a name that is free. The file goes if the transaction aborts.
void finish_archive_file(const Log& log, std::int64_t archive, ArchiveFile* file);

}  // namespace auditchain::pg
