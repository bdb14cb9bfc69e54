// The SOC 2 document around exported events.
#pragma once

#include "pg/mapping.h"

extern "C" {
#include <nodes/pg_list.h>
}

namespace auditchain::pg {

// The document's lines before its events, UTF-8: who exports what, and whether the chain is intact.
// Verifies the whole log. palloc'd.
List* soc2_header(const Log& log, const Mapping& mapping);

inline constexpr const char* kSoc2Footer = "]}";

}  // namespace auditchain::pg
