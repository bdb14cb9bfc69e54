#include "bundle_manifest.h"

#include <utility>

#include "digits.h"
#include "json_cursor.h"
#include "json_string.h"
#include "lines.h"
#include "malformed.h"
#include "merkle.h"

namespace auditchain {
namespace {

constexpr std::string_view kHeadEnd = "}\n";

void append_hex(std::string& out, const std::uint8_t* bytes, std::size_t size) {
    const std::size_t begin = out.size();
    out.resize(begin + 2 * size + 2, '"');
    write_hex(bytes, size, out.data() + begin + 1);
}

void append_hex(std::string& out, const Digest& digest) {
    append_hex(out, digest.bytes.data(), digest.bytes.size());
}

/// A string, or null where it is empty.
void append_optional(std::string& out, std::string_view text) {
    if (text.empty()) {
        out.append("null");
    } else {
        append_json_string(out, text);
    }
}

std::string take_string(JsonCursor& cursor) {
    const std::string_view escaped = cursor.escaped();
    std::string text(escaped.size(), '\0');
    text.resize(static_cast<std::size_t>(unescape(escaped, text.data()) - text.data()));
    return text;
}

std::string take_optional(JsonCursor& cursor) {
    if (cursor.take("null")) {
        return {};
    }
    std::string text = take_string(cursor);
    if (text.empty()) {
        throw Malformed("it has an empty string where null should stand");
    }
    return text;
}

void append_chain(std::string& out, const std::string& name, const BundledChain& chain) {
    out.append("{\"name\":");
    append_json_string(out, name);
    std::string_view separator = ",\"parts\":[";
    for (const ChainPart& part : chain.parts) {
        out.append(separator).append("{\"first\":");
        out.append(to_decimal(static_cast<std::uint64_t>(part.first)));
        out.append(",\"last\":").append(to_decimal(static_cast<std::uint64_t>(part.last)));
        out.append(",\"previous_checksum\":");
        append_hex(out, part.previous);
        out.append(",\"checksum\":");
        append_hex(out, part.end.stored);
        out.append("}");
        separator = ",";
    }
    out.append("]}");
}

std::vector<ChainPart> take_parts(JsonCursor& cursor) {
    std::vector<ChainPart> parts;
    std::int64_t last = 0;
    do {
        ChainPart part;
        cursor.expect("{\"first\":");
        part.first = static_cast<std::int64_t>(cursor.number(INT64_MAX));
        cursor.expect(",\"last\":");
        part.last = static_cast<std::int64_t>(cursor.number(INT64_MAX));
        cursor.expect(",\"previous_checksum\":");
        part.previous = cursor.digest();
        cursor.expect(",\"checksum\":");
        part.end.stored = part.end.computed = cursor.digest();
        cursor.expect("}");
        // Parts side by side are one.
        if (part.first < 1 || part.last < part.first || (last > 0 && part.first <= last + 1)) {
            throw Malformed("parts of a chain in it are not in order");
        }
        last = part.last;
        parts.push_back(part);
    } while (cursor.take(","));
    return parts;
}

BundledChains take_chains(JsonCursor& cursor) {
    BundledChains chains;
    std::string_view begin = "\n{\"name\":";
    while (cursor.take(begin)) {
        std::string name = take_string(cursor);
        if (!chains.empty() && name <= chains.rbegin()->first) {
            throw Malformed("chains in it are not in order");
        }
        cursor.expect(",\"parts\":[");
        chains.emplace_hint(chains.end(), std::move(name), BundledChain{take_parts(cursor)});
        cursor.expect("]}");
        begin = ",\n{\"name\":";
    }
    return chains;
}

std::vector<BundleFile> take_files(JsonCursor& cursor) {
    std::vector<BundleFile> files;
    std::string_view begin = "\n{\"name\":";
    while (cursor.take(begin)) {
        BundleFile file;
        file.name = take_string(cursor);
        cursor.expect(",\"size\":");
        file.size = cursor.number(kMaxTreeSize);
        cursor.expect(",\"sha256\":");
        file.sha256 = cursor.digest();
        cursor.expect("}");
        files.push_back(std::move(file));
        begin = ",\n{\"name\":";
    }
    return files;
}

std::optional<BundleEncryption> take_encryption(JsonCursor& cursor) {
    if (cursor.take("null")) {
        return std::nullopt;
    }
    BundleEncryption encryption;
    cursor.expect("{\"cipher\":\"AES-256-GCM\",\"key_id\":");
    encryption.key_id = take_string(cursor);
    cursor.expect(",\"wrapped_key\":");
    cursor.hex(encryption.wrapped_key.data(), encryption.wrapped_key.size());
    cursor.expect("}");
    return encryption;
}

}  // namespace

std::string bundle_entries_name(std::uint64_t number, bool encrypted) {
    const std::string decimal = to_decimal(number);
    std::string name = "entries/";
    name.append(decimal.size() < 6 ? 6 - decimal.size() : 0, '0').append(decimal);
    return name.append(encrypted ? ".jsonl.zst.enc" : ".jsonl.zst");
}

std::string format_utc(std::uint64_t time) {
    // Days to a date: http://howardhinnant.github.io/date_algorithms.html#civil_from_days
    const std::uint64_t days = time / 86400 + 719468;
    const std::uint64_t era = days / 146097;
    const std::uint64_t day_of_era = days % 146097;
    const std::uint64_t year_of_era =
        (day_of_era - day_of_era / 1460 + day_of_era / 36524 - day_of_era / 146096) / 365;
    const std::uint64_t day_of_year =
        day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    const std::uint64_t month = (5 * day_of_year + 2) / 153;  // from March
    const std::uint64_t year = year_of_era + era * 400 + (month >= 10 ? 1 : 0);
    char text[] = "0000-00-00T00:00:00Z";
    write_digits(text, static_cast<std::uint32_t>(year), 4);
    write_digits(text + 5, static_cast<std::uint32_t>(month < 10 ? month + 3 : month - 9), 2);
    write_digits(text + 8, static_cast<std::uint32_t>(day_of_year - (153 * month + 2) / 5 + 1), 2);
    write_digits(text + 11, static_cast<std::uint32_t>(time / 3600 % 24), 2);
    write_digits(text + 14, static_cast<std::uint32_t>(time / 60 % 60), 2);
    write_digits(text + 17, static_cast<std::uint32_t>(time % 60), 2);
    return text;
}

std::string format_bundle_head(const BundleHead& head) {
    std::string out = "{\"format\":1,\"created_at\":\"" + format_utc(head.created_at) + "\"";
    out.append(",\"created_by\":");
    append_json_string(out, head.created_by);
    out.append(",\"log\":{\"name\":");
    append_json_string(out, head.log_name);
    out.append(",\"id\":");
    append_json_string(out, head.log_id);
    out.append(",\"origin\":");
    append_json_string(out, head.origin);
    out.append("},\"tree\":{\"size\":").append(to_decimal(head.tree_size)).append(",\"root\":");
    append_hex(out, head.root);
    out.append("},\"period\":{\"since\":");
    append_optional(out, head.since);
    out.append(",\"until\":");
    append_optional(out, head.until);
    out.append("},\"context\":").append(head.context.empty() ? "null" : head.context);
    out.append(",\"encryption\":");
    if (head.encryption) {
        out.append("{\"cipher\":\"AES-256-GCM\",\"key_id\":");
        append_json_string(out, head.encryption->key_id);
        out.append(",\"wrapped_key\":");
        append_hex(out, head.encryption->wrapped_key.data(), head.encryption->wrapped_key.size());
        out.append("}");
    } else {
        out.append("null");
    }
    return out.append(kHeadEnd);
}

BundleHead parse_bundle_head(std::string_view text, std::uint64_t time) {
    JsonCursor cursor(text);
    BundleHead head;
    if (!cursor.take("{\"format\":1,")) {
        throw Malformed("it is of another format than 1, which is the one that is known");
    }
    cursor.expect("\"created_at\":\"" + format_utc(time) + "\",\"created_by\":");
    head.created_at = time;
    head.created_by = take_string(cursor);
    cursor.expect(",\"log\":{\"name\":");
    head.log_name = take_string(cursor);
    cursor.expect(",\"id\":");
    head.log_id = take_string(cursor);
    cursor.expect(",\"origin\":");
    head.origin = take_string(cursor);
    cursor.expect("},\"tree\":{\"size\":");
    head.tree_size = cursor.number(kMaxTreeSize);
    cursor.expect(",\"root\":");
    head.root = cursor.digest();
    cursor.expect("},\"period\":{\"since\":");
    head.since = take_optional(cursor);
    cursor.expect(",\"until\":");
    head.until = take_optional(cursor);
    cursor.expect("},\"context\":");
    if (!cursor.take("null,")) {
        head.context = cursor.value();
        cursor.expect(",");
    }
    cursor.expect("\"encryption\":");
    head.encryption = take_encryption(cursor);
    cursor.expect(kHeadEnd);
    if (!cursor.rest().empty()) {
        throw Malformed("something stands behind its end");
    }
    return head;
}

std::string format_bundle_manifest(std::string_view head, const BundleContents& contents) {
    std::string out(head.substr(0, head.size() - kHeadEnd.size()));
    out.append(",\"entries\":").append(to_decimal(contents.entries));
    out.append(",\"payload_bytes\":").append(to_decimal(contents.bytes));
    std::string_view separator = "\n";
    out.append(",\"chains\":[");
    for (const auto& [name, chain] : contents.chains) {
        append_chain(out.append(separator), name, chain);
        separator = ",\n";
    }
    separator = "\n";
    out.append("\n],\"files\":[");
    for (const BundleFile& file : contents.files) {
        out.append(separator).append("{\"name\":");
        append_json_string(out, file.name);
        out.append(",\"size\":").append(to_decimal(file.size)).append(",\"sha256\":");
        append_hex(out, file.sha256);
        out.append("}");
        separator = ",\n";
    }
    return out.append("\n]}\n");
}

BundleContents parse_bundle_manifest(std::string_view head, std::string_view text) {
    JsonCursor cursor(text);
    cursor.expect(head.substr(0, head.size() - kHeadEnd.size()));
    BundleContents contents;
    cursor.expect(",\"entries\":");
    contents.entries = cursor.number(kMaxTreeSize);
    cursor.expect(",\"payload_bytes\":");
    contents.bytes = cursor.number(kMaxTreeSize);
    cursor.expect(",\"chains\":[");
    contents.chains = take_chains(cursor);
    cursor.expect("\n],\"files\":[");
    contents.files = take_files(cursor);
    cursor.expect("\n]}\n");
    if (!cursor.rest().empty()) {
        throw Malformed("something stands behind its end");
    }
    return contents;
}

}  // namespace auditchain
