// The settings auditchain.*: docs/settings.md.
#pragma once

namespace auditchain::pg {

extern bool pipelined_commit;
extern int cached_heads;

void define_settings();

}  // namespace auditchain::pg
