// Fuzzes the parser of checkpoints: what it accepts is written back byte for byte.
//
//     build-fuzz/test/fuzz/checkpoint_fuzz -max_total_time=60
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "checkpoint.h"
#include "malformed.h"
#include "require.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace auditchain;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        require(format_checkpoint(parse_checkpoint(input)) == input);
    } catch (const Malformed&) {
    }
    return 0;
}
