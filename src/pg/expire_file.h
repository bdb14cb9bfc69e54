// Expiry of archives that are files.
#pragma once

#include "pg/verify_archive_file.h"

namespace auditchain::pg {

// Whether the file of an archive that is past its time may be deleted: it is the one that was
// recorded, and no hold of the log matches an entry in it. False, with a WARNING, also where that
// cannot be told, as the file is missing or another: what is away may come back, and what is not
// intact is evidence as it is. SPI is connected, with the rights of the log's owner.
bool may_expire_file(const Log& log, std::int64_t archive, const RecordedFile& recorded);

// Removes, at the commit, files of the log's expired archives that a crash has left: each was read
// when it expired, and is the same still.
void remove_expired_files(const Log& log);

}  // namespace auditchain::pg
