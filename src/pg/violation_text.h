// The words for what verification finds.
#pragma once

#include "pg/entry_scan.h"
#include "pg/verify.h"

namespace auditchain::pg {

// A finding with its chain's name and a sentence on what it is; palloc'd.
ReportedViolation describe_finding(const EntryScan& scan, const Finding& finding);

// The name of a chain in the server's encoding; palloc'd.
const char* shown_chain(std::string_view key, int lane);

// "kind at position P of chain C: detail"; palloc'd.
char* tell_violation(const ReportedViolation& violation);

}  // namespace auditchain::pg
