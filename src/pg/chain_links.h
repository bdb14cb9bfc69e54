// Reads a chain's entries in order, without their payloads.
#pragma once

#include "core/digest.h"
#include "pg/log.h"

extern "C" {
#include <executor/spi.h>
}

namespace auditchain::pg {

struct ChainLink {
    std::int64_t position;
    Digest previous;  // all 0xFF where the column holds no checksum
    Digest checksum;
};

struct LinkReader {
    SPIPlanPtr plan;
    Portal portal;
    SPITupleTable* batch;
    std::uint64_t next;
};

// A reader of the log's chains. It reads by the index, with the caller's rights, in the active
// snapshot. SPI is connected for as long as it is used.
LinkReader* make_link_reader(const Log& log);

// Begins with the entries of a chain at positions first..last.
void begin_links(LinkReader* reader, std::int32_t chain_id, std::int64_t first, std::int64_t last);

// Reads the next; false at the end.
bool next_link(LinkReader* reader, ChainLink* link);

// Ends before the end of the entries.
void end_links(LinkReader* reader);

}  // namespace auditchain::pg
