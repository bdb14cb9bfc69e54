// The signed note of a log's newest checkpoint: is it of that checkpoint, and by the log's key?
#pragma once

#include "pg/tree.h"

namespace auditchain::pg {

// What is wrong with the note; nullptr: nothing, or the checkpoint is not signed. Where the server
// has a signing key, it must be the one that signed. SPI is connected.
const char* note_fault(const Log& log, const TreeHead& head);

}  // namespace auditchain::pg
