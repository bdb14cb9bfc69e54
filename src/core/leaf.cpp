#include "leaf.h"

#include "lines.h"
#include "merkle.h"

namespace auditchain {
namespace {

/// Return what the leaves of a chain's entries begin with, in a string that has room for the rest.
std::string begin_leaf(std::string_view log_id, std::string_view chain_name) {
    constexpr std::string_view kFormat = "auditchain/v1\n";
    constexpr std::size_t kRest = 2 + 20 + 1 + kDigestHexSize + 1;
    std::string leaf;
    leaf.reserve(kFormat.size() + log_id.size() + chain_name.size() + kRest);
    leaf.append(kFormat).append(log_id).append("\n").append(chain_name).append("\n");
    return leaf;
}

void end_leaf(std::string& leaf, std::int64_t position, const Digest& checksum) {
    leaf.append(to_decimal(static_cast<std::uint64_t>(position))).append("\n");
    const std::size_t size = leaf.size();
    leaf.resize(size + kDigestHexSize);
    write_hex(checksum.bytes.data(), checksum.bytes.size(), leaf.data() + size);
    leaf.append("\n");
}

}  // namespace

std::string entry_leaf(std::string_view log_id, std::string_view chain_name, std::int64_t position,
                       const Digest& checksum) {
    std::string leaf = begin_leaf(log_id, chain_name);
    end_leaf(leaf, position, checksum);
    return leaf;
}

void hash_leaves(Sha256& sha256, std::string_view log_id, std::string_view chain_name,
                 std::int64_t position, std::span<Digest> checksums) {
    std::string leaf = begin_leaf(log_id, chain_name);
    const std::size_t prefix = leaf.size();
    for (Digest& checksum : checksums) {
        leaf.resize(prefix);
        end_leaf(leaf, position++, checksum);
        checksum = leaf_hash(sha256, leaf);
    }
}

}  // namespace auditchain
