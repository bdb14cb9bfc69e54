// The keys that the entries of archives are encrypted for: those of auditchain.archive_key_file or
// auditchain.archive_key_command. They are read when they are needed, and not kept.
#pragma once

#include "core/receipt.h"
#include "pg/backend.h"

namespace auditchain::pg {

// The keys that the settings name, the one in use first. Plain data, for the caller to
// erase_keys().
struct ArchiveKeys {
    ReceiptSecret keys[kMaxReceiptSecrets];
    int count;
};

// Whether the settings name a key.
bool has_archive_key();

// Reads them; an error where there are none, or they cannot be read.
void read_archive_keys(ArchiveKeys* out);

void erase_keys(ArchiveKeys* keys);

}  // namespace auditchain::pg
