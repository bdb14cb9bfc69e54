#include "bundle_entry.h"

#include <array>
#include <bit>
#include <span>

#include "json_cursor.h"
#include "json_string.h"
#include "lines.h"
#include "malformed.h"

namespace auditchain {
namespace {

void append_hex(std::string& out, std::string_view before, std::span<const std::uint8_t> bytes) {
    const std::size_t begin = out.size() + before.size();
    out.append(before);
    out.resize(begin + 2 * bytes.size() + 1);
    write_hex(bytes.data(), bytes.size(), out.data() + begin);
    out.back() = '"';
}

void append_digest(std::string& out, std::string_view before, const Digest& digest) {
    append_hex(out, before, digest.bytes);
}

void append_receipt(std::string& out, const Receipt& receipt) {
    std::array<std::uint8_t, kEvolvingReceiptSize> bytes;
    const std::size_t size = write_receipt(receipt, bytes);
    append_hex(out, ",\"receipt\":\"", std::span(bytes).first(size));
}

Receipt read_receipt(JsonCursor& cursor) {
    constexpr std::size_t kPlainEnd = 1 + kDigestHexSize;  // where its closing quote is
    std::array<std::uint8_t, kEvolvingReceiptSize> bytes;
    const std::string_view text = cursor.rest().substr(0, kPlainEnd + 1);
    const std::size_t size = text.ends_with('"') ? sizeof(Digest) : bytes.size();
    cursor.hex(bytes.data(), size);
    Receipt receipt;
    parse_receipt({reinterpret_cast<const char*>(bytes.data()), size}, &receipt);
    return receipt;
}

}  // namespace

void append_entry_line(std::string& out, const BundledEntry& entry) {
    out.append("{\"leaf\":").append(to_decimal(entry.leaf));
    out.append(",\"chain\":");
    append_json_string(out, entry.chain);
    out.append(",\"position\":").append(to_decimal(static_cast<std::uint64_t>(entry.position)));
    append_digest(out, ",\"previous_checksum\":\"", entry.previous);
    append_digest(out, ",\"checksum\":\"", entry.checksum);
    if (entry.receipt) {
        append_receipt(out, *entry.receipt);
    }
    out.append(",\"payload\":");
    append_json_string(out, entry.payload);
    out.append("}\n");
}

void append_subtree_line(std::string& out, const SubtreeHash& subtree) {
    const auto [level, index] = subtree.subtree;
    out.append("{\"leaf\":").append(to_decimal(index << level));
    out.append(",\"leaves\":").append(to_decimal(std::uint64_t{1} << level));
    append_digest(out, ",\"hash\":\"", subtree.hash);
    out.append("}\n");
}

void parse_bundle_line(std::string_view text, BundleLine* line) {
    JsonCursor cursor(text);
    cursor.expect("{\"leaf\":");
    const std::uint64_t leaf = cursor.number(kMaxTreeSize);
    line->is_entry = cursor.take(",\"chain\":");
    if (line->is_entry) {
        BundledEntry& entry = line->entry;
        entry.leaf = leaf;
        entry.chain = cursor.escaped();
        cursor.expect(",\"position\":");
        entry.position = static_cast<std::int64_t>(cursor.number(INT64_MAX));
        cursor.expect(",\"previous_checksum\":");
        entry.previous = cursor.digest();
        cursor.expect(",\"checksum\":");
        entry.checksum = cursor.digest();
        entry.receipt.reset();
        if (cursor.take(",\"receipt\":")) {
            entry.receipt = read_receipt(cursor);
        }
        cursor.expect(",\"payload\":");
        const std::string_view payload = cursor.escaped();
        if (line->payload.size() < payload.size()) {
            line->payload.resize(payload.size());
        }
        const char* const end = unescape(payload, line->payload.data());
        entry.payload = {line->payload.data(),
                         static_cast<std::size_t>(end - line->payload.data())};
    } else {
        cursor.expect(",\"leaves\":");
        const std::uint64_t leaves = cursor.number(kMaxTreeSize);
        cursor.expect(",\"hash\":");
        line->subtree.hash = cursor.digest();
        if (!std::has_single_bit(leaves) || leaf % leaves != 0) {
            throw Malformed("leaves that are no subtree have a hash in it");
        }
        const int level = std::countr_zero(leaves);
        line->subtree.subtree = {level, leaf >> level};
    }
    cursor.expect("}");
    if (!cursor.rest().empty() || (line->is_entry && line->entry.position == 0)) {
        throw Malformed("it has a line that is none");
    }
}

}  // namespace auditchain
