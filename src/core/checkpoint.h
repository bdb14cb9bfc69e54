#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "digest.h"

namespace auditchain {

/// A tree head, as the text of a signed note holds it (C2SP tlog-checkpoint):
/// `<origin>\n<size>\n<base64 of root>\n` and, behind them, any extension lines.
struct Checkpoint {
    std::string origin;
    std::uint64_t size = 0;
    Digest root{};
    std::string extensions = {};  ///< whole lines, none of them empty, as they stand in the text

    bool operator==(const Checkpoint&) const = default;
};

/// Return the text to sign. Throws std::invalid_argument if parse_checkpoint() would refuse it.
std::string format_checkpoint(const Checkpoint& checkpoint);

/// Read a checkpoint from the text of a note; format_checkpoint() gives back the same bytes.
/// Whoever has verified the note must still compare the origin: one key may sign many logs.
/// Throws Malformed if it is none, or has a size above kMaxTreeSize.
Checkpoint parse_checkpoint(std::string_view text);

}  // namespace auditchain
