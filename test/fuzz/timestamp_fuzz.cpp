// Fuzzes the parser of time stamps: of what it accepts, the token is the end, and alone says the
// same. It finds little in ASN.1 without seeds: give it a directory with the answers of
// test/vectors/timestamps.jsonl as files.
//
//     build-fuzz/test/fuzz/timestamp_fuzz -max_total_time=60 seeds
#include <cstddef>
#include <cstdint>
#include <string_view>

#include "malformed.h"
#include "require.h"
#include "timestamp.h"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    using namespace auditchain;
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    try {
        const Timestamp timestamp = parse_timestamp(input);
        require(input.ends_with(timestamp.token));
        const Timestamp again = parse_timestamp(timestamp.token);
        require(again.token == timestamp.token && again.imprint == timestamp.imprint &&
                again.time == timestamp.time && again.authority == timestamp.authority);
        for (const char c : timestamp.authority) {
            require(c >= ' ' && c <= '~');
        }
    } catch (const Malformed&) {
    }
    return 0;
}
