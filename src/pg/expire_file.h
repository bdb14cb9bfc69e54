// Expiry of archives that are files.
#pragma once

#include "pg/verify_archive_file.h"

namespace auditchain::pg {

// Whether there is no such file any more.
bool is_file_gone(const RecordedFile& recorded);

// Whether a hold of the log matches an entry in the file of an archive. True, with a WARNING, also
// where that cannot be told, as the file is not intact: then it is evidence as it is. SPI is
// connected, with the rights of the log's owner.
bool is_held_in_file(const Log& log, std::int64_t archive, const RecordedFile& recorded);

// Removes, at the commit, files of the log's expired archives that a crash has left.
void remove_expired_files(const Log& log);

}  // namespace auditchain::pg
