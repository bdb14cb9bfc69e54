#include "checksum.h"

namespace auditchain {

Digest entry_checksum(Sha256& sha256, const Digest& previous, std::string_view payload) {
    char hex[kDigestHexSize];
    write_hex(previous.bytes.data(), previous.bytes.size(), hex);
    return sha256({std::string_view(hex, sizeof hex), payload});
}

}  // namespace auditchain
