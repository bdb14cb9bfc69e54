#include "pg/violation_text.h"

#include "pg/catalog.h"

extern "C" {
#include <mb/pg_wchar.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

const char* plural(std::int64_t count, const char* one, const char* more) {
    return count == 1 ? one : more;
}

// The name of a chain of this log, or a text that says what the number is.
const char* chain_text(const Log& log, std::int32_t chain_id) {
    ChainName name;
    if (chain_id == 0 || !find_chain_name(chain_id, &name)) {
        return psprintf("chain_id %d, which is no chain", chain_id);
    }
    if (memcmp(&name.log, &log.id, sizeof log.id) != 0) {
        return psprintf("chain_id %d, which is a chain of another log", chain_id);
    }
    return psprintf("%s/%d", pg_any_to_server(name.key, strlen(name.key), PG_UTF8), name.lane);
}

const char* gap_detail(const EntryScan& scan, const Finding& gap) {
    auto count = static_cast<long long>(gap.last - gap.first + 1);
    const char* follower = describe_row(scan, gap.row);
    if (gap.kind == Violation::head_missing) {
        return psprintf(
            "the first %lld %s of the chain %s missing: the oldest is %s at position %lld", count,
            plural(count, "entry", "entries"), plural(count, "is", "are"), follower,
            static_cast<long long>(gap.last + 1));
    }
    if (count == 1) {
        return psprintf("position %lld has no entry: the next is %s",
                        static_cast<long long>(gap.first), follower);
    }
    return psprintf("positions %lld to %lld, %lld in number, have no entries: the next is %s",
                    static_cast<long long>(gap.first), static_cast<long long>(gap.last), count,
                    follower);
}

const char* entry_detail(const EntryScan& scan, const Finding& finding) {
    const char* row = describe_row(scan, finding.row);
    switch (finding.kind) {
        case Violation::content_modified:
            return psprintf("entry %s no longer matches its checksum", row);
        case Violation::link_broken:
            return psprintf(
                "entry %s does not follow the entry before it: its previous_checksum "
                "is not that entry's checksum",
                row);
        case Violation::entry_duplicated:
            return psprintf("entry %s stands at a position that another entry holds", row);
        case Violation::key_mismatch:
            return psprintf("entry %s belongs to the chain of another key", row);
        default:
            return psprintf("entry %s", row);
    }
}

}  // namespace

ReportedViolation describe_finding(const EntryScan& scan, const Finding& finding) {
    return {chain_text(*scan.log, static_cast<std::int32_t>(finding.chain)), finding.first,
            name(finding.kind),
            finding.has_row ? entry_detail(scan, finding) : gap_detail(scan, finding)};
}

char* tell_violation(const ReportedViolation& violation) {
    if (violation.chain == nullptr) {
        return psprintf("%s: %s", violation.kind, violation.detail);
    }
    return psprintf("%s at position %lld of chain %s: %s", violation.kind,
                    static_cast<long long>(violation.position), violation.chain, violation.detail);
}

}  // namespace auditchain::pg
