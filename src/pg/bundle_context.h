// What a bundle tells of how its log is kept.
#pragma once

#include "pg/log.h"

namespace auditchain::pg {

// The log's policy, its holds that are in force, and what its last verification on record has said:
// canonical JSON for manifest.json of a bundle, UTF-8, palloc'd. SPI is connected; it is read in
// the active snapshot.
const char* bundle_context(const Log& log);

}  // namespace auditchain::pg
