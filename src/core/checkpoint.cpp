#include "checkpoint.h"

#include <stdexcept>

#include "base64.h"
#include "lines.h"
#include "malformed.h"
#include "merkle.h"

namespace auditchain {

std::string format_checkpoint(const Checkpoint& checkpoint) {
    const std::string text = checkpoint.origin + "\n" + to_decimal(checkpoint.size) + "\n" +
                             to_base64(checkpoint.root) + "\n" + checkpoint.extensions;
    try {
        if (parse_checkpoint(text) == checkpoint) {
            return text;
        }
    } catch (const Malformed&) {
    }
    throw std::invalid_argument("these are not the parts of a checkpoint");
}

Checkpoint parse_checkpoint(std::string_view text) {
    const auto origin = take_line(text);
    const auto size = take_line(text);
    const auto root = take_line(text);
    if (!root) {
        throw Malformed("the checkpoint does not have the lines origin, size and root");
    }
    if (origin->empty()) {
        throw Malformed("the origin of the checkpoint is empty");
    }
    const auto number = parse_decimal(*size, kMaxTreeSize);
    if (!number) {
        throw Malformed("the size in the checkpoint is not a number from 0 to 2^63 - 1");
    }
    const auto digest = digest_from_base64(*root);
    if (!digest) {
        throw Malformed("the root in the checkpoint is not 32 bytes in base64");
    }
    Checkpoint checkpoint{std::string(*origin), *number, *digest, std::string(text)};
    while (const auto line = take_line(text)) {
        if (line->empty()) {
            throw Malformed("the checkpoint has an empty line");
        }
    }
    if (!text.empty()) {
        throw Malformed("the checkpoint does not end with a newline");
    }
    return checkpoint;
}

}  // namespace auditchain
