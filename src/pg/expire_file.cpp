#include "pg/expire_file.h"

#include "pg/archive_directory.h"
#include "pg/archive_file.h"
#include "pg/errors.h"
#include "pg/hold.h"
#include "pg/row_reader.h"

extern "C" {
#include <access/table.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <utils/lsyscache.h>
#include <utils/memutils.h>
#include <utils/tuplestore.h>
}

#include <cerrno>

namespace auditchain::pg {
namespace {

// The entries of a file, as rows of the log, where a query finds them under this name.
constexpr const char* kRows = "auditchain_archived";

struct Restoring {
    RowReader* reader;
    Tuplestorestate* rows;
};

void restore_entry(void* state, const BundledEntry& entry) {
    auto* restoring = static_cast<Restoring*>(state);
    read_row(restoring->reader, entry);
    tuplestore_putvalues(restoring->rows, restoring->reader->descriptor, restoring->reader->values,
                         restoring->reader->nulls);
}

bool matches_any(Oid log, Tuplestorestate* rows, const char* condition) {
    auto* relation =
        static_cast<EphemeralNamedRelation>(palloc0(sizeof(EphemeralNamedRelationData)));
    relation->md.name = pstrdup(kRows);
    relation->md.reliddesc = log;
    relation->md.enrtype = ENR_NAMED_TUPLESTORE;
    relation->md.enrtuples = static_cast<double>(tuplestore_tuple_count(rows));
    relation->reldata = rows;
    SPI_register_relation(relation);
    SPI_execute(psprintf("SELECT FROM %s e WHERE %s LIMIT 1", kRows, condition), true, 1);
    bool found = SPI_processed > 0;
    SPI_unregister_relation(kRows);
    return found;
}

// What keeps the file from being read and known to be the one that was archived; nullptr: nothing.
const char* read_rows(const Log& log, std::int64_t archive, const RecordedFile& recorded,
                      Restoring* restoring) {
    int fd = open_archive_file(recorded.path);
    if (fd < 0) {
        return pstrdup(strerror(errno));
    }
    OwnedFile* file = own_file(fd);
    BundleEntryReceiver receiver = {restore_entry, restoring};
    BundleFileContents contents = read_bundle_file(file->fd, log, &receiver);
    close_file(file);
    if (contents.unusable != nullptr) {
        return contents.unusable;
    }
    if (contents.size != recorded.size || contents.sha256 != recorded.sha256) {
        return "it is not the file that was recorded";
    }
    return ranges_fault(log, archive, *contents.verdict);
}

bool is_recorded_file(const Log& log, const RecordedFile& recorded) {
    require_safe_path(recorded.path, "the archive's file cannot be opened");
    int fd = open_archive_file(recorded.path);
    if (fd < 0) {
        return false;
    }
    OwnedFile* file = own_file(fd);
    BundleFileContents contents = read_bundle_file(file->fd, log, nullptr);
    close_file(file);
    return contents.size == recorded.size && contents.sha256 == recorded.sha256;
}

}  // namespace

bool is_file_gone(const RecordedFile& recorded) {
    require_safe_path(recorded.path, "the archive's file cannot be opened");
    int fd = open_archive_file(recorded.path);
    bool gone = fd < 0 && errno == ENOENT;
    if (fd >= 0) {
        close_file(own_file(fd));
    }
    return gone;
}

bool is_held_in_file(const Log& log, std::int64_t archive, const RecordedFile& recorded) {
    const char* held = held_condition(log, log.relation);
    if (held == nullptr) {
        return false;
    }
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "auditchain held entries",
                                                  ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    Relation relation = table_open(log.relation, AccessShareLock);
    Restoring restoring = {make_row_reader(log, RelationGetDescr(relation)),
                           tuplestore_begin_heap(false, false, work_mem)};
    const char* fault = read_rows(log, archive, recorded, &restoring);
    MemoryContextSwitchTo(caller);  // which outlives what SPI keeps of a named relation
    bool keep = fault != nullptr || matches_any(log.relation, restoring.rows, held);
    if (fault != nullptr) {
        ereport(WARNING, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("archive %lld of log \"%s\" is past its time, and is kept",
                       static_cast<long long>(archive), get_rel_name(log.relation)),
                errdetail("The log has holds, and %s cannot tell what they match: %s.",
                          recorded.path, fault),
                errhint("SELECT * FROM auditchain.verify_archive(%lld)",
                        static_cast<long long>(archive)));
    }
    tuplestore_end(restoring.rows);
    table_close(relation, NoLock);
    MemoryContextDelete(context);
    return keep;
}

void remove_expired_files(const Log& log) {
    if (!has_archive_directory()) {
        return;
    }
    query_catalog(
        "SELECT archive_id FROM auditchain.archive "
        "WHERE log_id = $1 AND expired_at IS NOT NULL AND file IS NOT NULL",
        {uuid_arg(log.id)});
    SPITupleTable* rows = SPI_tuptable;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        std::int64_t archive = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        RecordedFile recorded = read_recorded_file(archive);
        // By now it may be another.
        if (is_recorded_file(log, recorded)) {
            remove_file_at_commit(recorded.path);
        }
    }
}

}  // namespace auditchain::pg
