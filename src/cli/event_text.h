// An event, for people.
#pragma once

#include <string>
#include <string_view>
#include <vector>

namespace auditchain::cli {

/// Return an exported event (a line of the format jsonl) as lines for a terminal: one with its
/// time, actor, type, chain, position and the beginning of its checksum, and a second one where it
/// has more. Numbers are as PostgreSQL printed them. A line that is no JSON comes back as
/// it is, but fit for a terminal.
std::vector<std::string> event_lines(std::string_view event);

}  // namespace auditchain::cli
