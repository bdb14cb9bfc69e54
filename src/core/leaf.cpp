#include "leaf.h"

#include "lines.h"

namespace auditchain {

std::string entry_leaf(std::string_view log_id, std::string_view chain_name, std::int64_t position,
                       const Digest& checksum) {
    std::string leaf = "auditchain/v1\n";
    leaf.append(log_id).append("\n");
    leaf.append(chain_name).append("\n");
    leaf.append(to_decimal(static_cast<std::uint64_t>(position))).append("\n");
    leaf.append(to_hex(checksum)).append("\n");
    return leaf;
}

}  // namespace auditchain
