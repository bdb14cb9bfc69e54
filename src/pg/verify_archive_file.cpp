#include "pg/verify_archive_file.h"

#include "pg/archive_directory.h"
#include "pg/archived_range.h"
#include "pg/entry.h"
#include "pg/receipt.h"
#include "pg/tree.h"

extern "C" {
#include <executor/spi.h>
}

#include <cerrno>
#include <unistd.h>

namespace auditchain::pg {
namespace {

// Whether the bundle has these entries as a part of a chain, neither more nor less.
bool has_part(const BundledChains& chains, std::string_view chain, const ArchivedEntries& entries) {
    auto found = chains.find(chain);
    if (found == chains.end()) {
        return false;
    }
    const auto& parts = found->second.parts;
    auto part = std::lower_bound(
        parts.begin(), parts.end(), entries.first,
        [](const ChainPart& one, std::int64_t first) { return one.first < first; });
    return part != parts.end() && part->first == entries.first && part->last == entries.last &&
           part->previous == entries.previous && part->end.stored == entries.checksum;
}

// Checks the receipts of a bundle's entries. Those side by side are one violation.
struct ReceiptPass {
    ReceiptCheck receipts;
    ArchivedCheck* check;
    const ViolationReceiver* receiver;
    const char* chain;      // of the entry that was faulty last
    std::int64_t position;  // its position
};

ReceiptState check_entry_receipt(ReceiptPass* pass, const BundledEntry& entry) {
    std::size_t slash = entry.chain.rfind('/');
    int lane = 0;
    for (char digit : entry.chain.substr(std::min(slash + 1, entry.chain.size()))) {
        lane = lane * 10 + (digit - '0');
    }
    return check_receipt(&pass->receipts,
                         {entry.chain.substr(0, slash), lane, entry.position, entry.checksum},
                         entry.receipt ? &*entry.receipt : nullptr);
}

void check_entry(void* state, const BundledEntry& entry) {
    auto* pass = static_cast<ReceiptPass*>(state);
    if (check_entry_receipt(pass, entry) != ReceiptState::invalid) {
        return;
    }
    pass->check->faulty++;
    bool goes_on = pass->chain != nullptr && entry.chain == pass->chain &&
                   entry.position == pass->position + 1;
    pass->position = entry.position;
    if (goes_on) {
        return;
    }
    pass->chain = pnstrdup(entry.chain.data(), entry.chain.size());
    pass->receiver->take(
        pass->receiver->state,
        {bundle_text(entry.chain), entry.position, auditchain::name(Violation::receipt_invalid),
         "no key of this server makes the receipt that the entry has"});
}

// Violations on their way, counted.
struct Counting {
    const ViolationReceiver* receiver;
    std::int64_t count;
};

void count_violation(void* state, const ReportedViolation& violation) {
    auto* counting = static_cast<Counting*>(state);
    counting->count++;
    counting->receiver->take(counting->receiver->state, violation);
}

// Of a bundle that is intact otherwise, and so is what was read just now.
void check_receipts(const Log& log, int fd, const ViolationReceiver& receiver,
                    ArchivedCheck* check) {
    ReceiptPass pass = {begin_receipt_check(log), check, &receiver, nullptr, 0};
    BundleEntryReceiver entries = {check_entry, &pass};
    if (lseek(fd, 0, SEEK_SET) == 0) {
        read_bundle_file(fd, log, &entries);
    }
    check->receipts_unchecked = pass.receipts.unchecked;
}

const char* file_fault(const Log& log, std::int64_t archive, const RecordedFile& recorded,
                       const BundleFileContents& contents) {
    if (const char* fault = foreign_tree(log, *contents.verdict)) {
        return fault;
    }
    if (const char* fault = ranges_fault(log, archive, *contents.verdict)) {
        return fault;
    }
    return contents.size == recorded.size && contents.sha256 == recorded.sha256
               ? nullptr
               : "it is not the file that was recorded";
}

}  // namespace

RecordedFile read_recorded_file(std::int64_t archive) {
    query_catalog_as_seen(
        "SELECT file, file_size, file_sha256 FROM auditchain.archive WHERE archive_id = $1",
        {{INT8OID, Int64GetDatum(archive)}});
    RecordedFile file = {};
    if (SPI_processed > 0) {
        HeapTuple row = SPI_tuptable->vals[0];
        TupleDesc descriptor = SPI_tuptable->tupdesc;
        bool null;
        file.path = SPI_getvalue(row, descriptor, 1);
        Datum size = SPI_getbinval(row, descriptor, 2, &null);
        file.size = null ? 0 : DatumGetInt64(size);
        Datum sha256 = SPI_getbinval(row, descriptor, 3, &null);
        if (null || !read_digest(sha256, &file.sha256)) {
            file.sha256 = {};
        }
    }
    return file;
}

const char* ranges_fault(const Log& log, std::int64_t archive, const BundleVerdict& verdict) {
    std::size_t ranges = 0;
    const char* missing = nullptr;
    MemoryContext caller = CurrentMemoryContext;
    for_each_range_of(archive, [&](const ArchivedRange& range) {
        ranges++;
        ChainName name;
        const char* chain =
            find_log_chain(log.id, range.chain_id, &name) ? chain_name(name.key, name.lane) : "";
        if (missing == nullptr && !has_part(verdict.chains, chain, range.entries)) {
            missing = MemoryContextStrdup(
                caller, psprintf("it has not got positions %lld to %lld of chain %s as they are on "
                                 "record",
                                 static_cast<long long>(range.entries.first),
                                 static_cast<long long>(range.entries.last), bundle_text(chain)));
        }
    });
    std::size_t parts = 0;
    for (const auto& [name, chain] : verdict.chains) {
        parts += chain.parts.size();
    }
    return missing != nullptr || parts == ranges ? missing
                                                 : "it has other entries than are on record";
}

ArchivedCheck check_archive_file(const Log& log, std::int64_t archive, const RecordedFile& recorded,
                                 const ViolationReceiver& receiver) {
    auto mismatch = [&](const char* detail) {
        receiver.take(receiver.state, {nullptr, 0, auditchain::name(Violation::archive_mismatch),
                                       psprintf("file %s: %s", recorded.path, detail)});
    };
    require_safe_path(recorded.path, "the archive's file cannot be opened");
    int fd = open_archive_file(recorded.path);
    if (fd < 0) {
        mismatch(strerror(errno));
        return {};
    }
    OwnedFile* file = own_file(fd);
    Counting counting = {&receiver, 0};
    ViolationReceiver counted = {count_violation, &counting};
    BundleFileContents contents = read_bundle_file(file->fd, log, nullptr);
    if (contents.unusable != nullptr) {
        mismatch(contents.unusable);
        return {};
    }
    ArchivedCheck check = {};
    check.entries = static_cast<std::int64_t>(contents.verdict->entries);
    report_bundle(contents, counted);
    for (const BundleFinding& finding : contents.verdict->findings) {
        check.faulty += finding.position > 0 && finding.kind != Violation::entry_missing;
    }
    if (counting.count == 0 && log.receipts) {
        check_receipts(log, file->fd, counted, &check);
    }
    const char* fault =
        counting.count == 0 ? file_fault(log, archive, recorded, contents) : nullptr;
    if (fault != nullptr) {
        mismatch(fault);
    }
    close_file(file);
    return check;
}

}  // namespace auditchain::pg
