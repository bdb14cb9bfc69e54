#include "pg/violation_text.h"

#include "pg/catalog.h"
#include "pg/tree.h"

extern "C" {
#include <mb/pg_wchar.h>
#include <utils/memutils.h>
}

namespace auditchain::pg {
namespace {

const char* gap_detail(const EntryScan& scan, const Finding& gap) {
    auto count = static_cast<long long>(gap.last - gap.first + 1);
    const char* follower = gap.row == kArchivedRow ? "in an archive" : describe_row(scan, gap.row);
    if (gap.kind == Violation::head_missing) {
        return psprintf(
            "the chain begins at position %lld with entry %s: %lld before it %s missing",
            static_cast<long long>(gap.last + 1), follower, count, count == 1 ? "is" : "are");
    }
    if (count == 1) {
        return psprintf("position %lld has no entry: the next is %s",
                        static_cast<long long>(gap.first), follower);
    }
    return psprintf("positions %lld to %lld, %lld in number, have no entries: the next is %s",
                    static_cast<long long>(gap.first), static_cast<long long>(gap.last), count,
                    follower);
}

const char* archived_detail(const Finding& finding) {
    if (finding.first == finding.last) {
        return "the archived entry does not follow the entry before it";
    }
    return psprintf(
        "the archived entries of positions %lld to %lld do not follow the entry before "
        "them",
        static_cast<long long>(finding.first), static_cast<long long>(finding.last));
}

// An entry whose chain is none of this log's.
const char* stray_detail(const EntryScan& scan, const Finding& finding) {
    const char* row = describe_row(scan, finding.row);
    if (finding.kind == Violation::key_mismatch) {
        return psprintf("entry %s, and what else has chain_id %lld, is in no chain of this log",
                        row, static_cast<long long>(finding.chain));
    }
    return psprintf("entry %s is in no chain: its chain_id or chain_position is NULL", row);
}

const char* receipt_detail(const char* row, const Finding& finding) {
    auto others = static_cast<long long>(finding.last - finding.first);
    if (others == 0) {
        return psprintf(
            "entry %s has a receipt that no key of this server makes: its checksum was computed "
            "anew without the key, or its receipt was edited",
            row);
    }
    return psprintf(
        "entry %s and the %lld behind it, up to position %lld, have receipts that no key of this "
        "server makes: their checksums were computed anew without the key",
        row, others, static_cast<long long>(finding.last));
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
        case Violation::receipt_invalid:
            return receipt_detail(row, finding);
        default:
            return psprintf("entry %s", row);
    }
}

}  // namespace

ReportedViolation describe_finding(const EntryScan& scan, const Finding& finding) {
    // A row may have no chain number, or that of no chain of this log.
    auto chain_id = static_cast<std::int32_t>(finding.chain);
    ChainName found;
    bool known = chain_id != 0 && find_log_chain(scan.log->id, chain_id, &found);
    const char* chain = known ? shown_chain(found.key, found.lane) : nullptr;
    const char* detail = chain == nullptr                         ? stray_detail(scan, finding)
                         : finding.has_row                        ? entry_detail(scan, finding)
                         : finding.kind == Violation::link_broken ? archived_detail(finding)
                                                                  : gap_detail(scan, finding);
    return {chain, finding.first, name(finding.kind), detail};
}

const char* shown_chain(std::string_view key, int lane) {
    const char* chain = chain_name(key, lane);
    return pg_any_to_server(chain, static_cast<int>(strlen(chain)), PG_UTF8);
}

char* tell_violation(const ReportedViolation& violation) {
    if (violation.chain == nullptr) {
        return psprintf("%s: %s", violation.kind, violation.detail);
    }
    return psprintf("%s at position %lld of chain %s: %s", violation.kind,
                    static_cast<long long>(violation.position), violation.chain, violation.detail);
}

}  // namespace auditchain::pg
