#include "pg/archive_record.h"

#include "pg/entry.h"
#include "pg/entry_pass.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/incarnation.h"
#include "pg/operations.h"
#include "pg/tree.h"

extern "C" {
#include <executor/spi.h>
#include <miscadmin.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

const char* range_text(const Log& log, const ArchivedRange& range) {
    ChainName name;
    const char* chain =
        find_log_chain(log.id, range.chain_id, &name) ? chain_name(name.key, name.lane) : "";
    const ArchivedEntries& entries = range.entries;
    return psprintf("%s\n%lld\n%lld\n%s\n%s\n", chain, static_cast<long long>(entries.first),
                    static_cast<long long>(entries.last), digest_text(entries.previous),
                    digest_text(entries.checksum));
}

std::span<std::int64_t> read_archives(const Log& log) {
    query_catalog_as_seen(
        "SELECT DISTINCT archive_id FROM auditchain.archive_range WHERE log_id = $1 "
        "UNION SELECT archive_id FROM auditchain.archive WHERE log_id = $1 ORDER BY archive_id",
        {uuid_arg(log.id)});
    auto* archives = static_cast<std::int64_t*>(palloc((SPI_processed + 1) * sizeof(std::int64_t)));
    for (std::uint64_t i = 0; i < SPI_processed; i++) {
        bool null;
        archives[i] =
            DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[i], SPI_tuptable->tupdesc, 1, &null));
    }
    std::span<std::int64_t> result(archives, SPI_processed);
    SPI_freetuptable(SPI_tuptable);
    return result;
}

}  // namespace

ArchiveTotals read_archive_totals(const Log& log, std::int64_t archive) {
    ArchiveTotals totals = {};
    totals.digest =
        checksum_of(totals.digest, psprintf("auditchain/archive/v1\n%s\n%lld\n", uuid_text(log.id),
                                            static_cast<long long>(archive)));
    std::int32_t chain = 0;
    for_each_range_of(archive, [&](const ArchivedRange& range) {
        totals.digest = checksum_of(totals.digest, range_text(log, range));
        totals.entries += range.entries.last - range.entries.first + 1;
        totals.chains += range.chain_id != chain;
        totals.ranges++;
        chain = range.chain_id;
    });
    return totals;
}

const char* digest_text(const Digest& digest) {
    auto* text = static_cast<char*>(palloc(kDigestHexSize + 1));
    write_hex(digest.bytes.data(), digest.bytes.size(), text);
    text[kDigestHexSize] = '\0';
    return text;
}

// Whoever reads another log need not be allowed to read this one, so it is read as its owner.
const char* operations_fault() {
    Oid relation = operations_log();
    if (!OidIsValid(relation)) {
        return "the log auditchain.operations, which records archives, is missing";
    }
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(relation_owner(relation),
                           security_context | SECURITY_LOCAL_USERID_CHANGE);
    const Log* operations = read_log(relation);
    bool intact = operations != nullptr && pass_over_entries(*operations).intact;
    SetUserIdAndSecContext(user, security_context);
    return intact ? nullptr
                  : "the log auditchain.operations, which records archives, is not intact";
}

const char* archive_fault(const Log& log, std::int64_t archive, const ArchiveTotals& totals) {
    query_catalog_as_seen(
        "SELECT coalesce(details ->> 'digest' = $3, false), "
        "(details ->> 'file', details ->> 'size', details ->> 'sha256') IS NOT DISTINCT FROM "
        "(SELECT (file, file_size::text, encode(file_sha256, 'hex')) FROM auditchain.archive "
        "WHERE archive_id = $2) FROM auditchain.operations "
        "WHERE log_id = $1 AND event = 'archived' AND details ->> 'archive' = $2::text LIMIT 1",
        {uuid_arg(log.id),
         {INT8OID, Int64GetDatum(archive)},
         text_arg(digest_text(totals.digest))});
    if (SPI_processed == 0) {
        return psprintf("archive %lld is not on record: auditchain.operations has no such event",
                        static_cast<long long>(archive));
    }
    HeapTuple row = SPI_tuptable->vals[0];
    bool null;
    for (int column = 1; column <= 2; column++) {
        if (!DatumGetBool(SPI_getbinval(row, SPI_tuptable->tupdesc, column, &null))) {
            return psprintf("archive %lld is not as it was recorded: %s",
                            static_cast<long long>(archive),
                            column == 1 ? "its ranges were changed" : "its file was changed");
        }
    }
    return nullptr;
}

ArchivedPart verify_archive_records(const Log& log, const ViolationReceiver& receiver) {
    ArchivedPart part = {};
    auto report = [&](const char* detail) {
        receiver.take(receiver.state, {nullptr, 0, name(Violation::archive_mismatch), detail});
    };
    std::span<std::int64_t> archives = read_archives(log);
    if (archives.empty()) {
        return part;
    }
    const char* operations = operations_fault();
    if (operations != nullptr) {
        report(operations);
    }
    for (std::int64_t archive : archives) {
        ArchiveTotals totals = read_archive_totals(log, archive);
        part.entries += totals.entries;
        part.archives++;
        // What cannot be believed is one violation, whatever it says.
        const char* fault = operations == nullptr ? archive_fault(log, archive, totals) : nullptr;
        if (fault != nullptr) {
            report(fault);
        }
    }
    return part;
}

}  // namespace auditchain::pg
