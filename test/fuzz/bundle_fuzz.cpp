// Fuzzes the reader of bundles: the container, the lines of entries, bundle.json and manifest.json.
// What is read as a line, or as either of these, is written back byte for byte.
//
//     build-fuzz/test/fuzz/bundle_fuzz -max_total_time=60
#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "bundle_entry.h"
#include "bundle_manifest.h"
#include "bundle_verify.h"
#include "json_cursor.h"
#include "malformed.h"
#include "require.h"

namespace {

using namespace auditchain;

void check_archive(std::string_view input) {
    Sha256 sha256;
    TarReader tar;
    BundleVerifier verifier({});
    try {
        while (!input.empty()) {
            const std::size_t piece = std::min<std::size_t>(input.size(), 700);
            tar.feed(input.substr(0, piece));
            input.remove_prefix(piece);
            while (auto file = tar.next()) {
                if (const auto work = verifier.take(std::move(*file), tar.time())) {
                    verifier.add(look_at(sha256, *work));
                }
            }
        }
        tar.finish();
        verifier.finish();
    } catch (const Malformed&) {
    }
}

void check_line(std::string_view input) {
    BundleLine line;
    try {
        parse_bundle_line(input, &line);
    } catch (const Malformed&) {
        return;
    }
    std::string again;
    std::string chain;
    if (line.is_entry) {
        chain.resize(line.entry.chain.size());
        chain.resize(
            static_cast<std::size_t>(unescape(line.entry.chain, chain.data()) - chain.data()));
        line.entry.chain = chain;
        append_entry_line(again, line.entry);
    } else {
        append_subtree_line(again, line.subtree);
    }
    require(again == std::string(input) + "\n");
}

void check_manifest(std::string_view input) {
    const std::string_view head = input.substr(0, input.find('\n') + 1);
    try {
        require(format_bundle_head(parse_bundle_head(head, 0)) == head);
    } catch (const Malformed&) {
    }
    try {
        require(format_bundle_manifest("}\n", parse_bundle_manifest("}\n", input)) == input);
    } catch (const Malformed&) {
    }
}

}  // namespace

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
    const std::string_view input(reinterpret_cast<const char*>(data), size);
    check_archive(input);
    check_line(input);
    check_manifest(input);
    return 0;
}
