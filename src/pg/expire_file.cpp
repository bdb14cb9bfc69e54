#include "pg/expire_file.h"

#include "pg/archive_directory.h"
#include "pg/archive_file.h"
#include "pg/errors.h"
#include "pg/hold.h"
#include "pg/incarnation.h"
#include "pg/row_reader.h"
#include "pg/subtransaction.h"

extern "C" {
#include <access/table.h>
#include <access/xact.h>
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

// Opens the file, or returns nullptr and why that fails.
OwnedFile* open_recorded(const RecordedFile& recorded, const char** fault) {
    *fault = has_archive_directory() ? path_fault(recorded.path)
                                     : "auditchain.archive_directory is empty";
    int fd = *fault == nullptr ? open_archive_file(recorded.path) : -1;
    if (fd < 0 && *fault == nullptr) {
        *fault = pstrdup(strerror(errno));
    }
    return fd < 0 ? nullptr : own_file(fd);
}

// What keeps the file from being known as the one that was archived; nullptr: nothing.
const char* read_recorded(const Log& log, const RecordedFile& recorded,
                          BundleFileContents* contents) {
    const char* fault;
    OwnedFile* file = open_recorded(recorded, &fault);
    if (file == nullptr) {
        return fault;
    }
    *contents = read_bundle_file(file->fd, log, nullptr);
    close_file(file);
    bool same = contents->size == recorded.size && contents->sha256 == recorded.sha256;
    return same ? nullptr : "it is not the file that was recorded";
}

// Reads the entries of a file that is known to be intact.
const char* read_rows(const Log& log, const RecordedFile& recorded, Restoring* restoring) {
    const char* fault;
    OwnedFile* file = open_recorded(recorded, &fault);
    if (file == nullptr) {
        return fault;
    }
    BundleEntryReceiver receiver = {restore_entry, restoring};
    BundleFileContents contents = read_bundle_file(file->fd, log, &receiver);
    close_file(file);
    return contents.unusable != nullptr || contents.sha256 == recorded.sha256
               ? contents.unusable
               : "it changes while it is read";
}

// The same in a subtransaction: an entry that cannot be read back keeps its archive, and stops
// nothing else.
const char* try_read_rows(const Log& log, const RecordedFile& recorded, Relation relation,
                          Tuplestorestate* rows) {
    const char* fault = nullptr;
    ErrorData* error = try_in_subtransaction([&] {
        Restoring restoring = {make_row_reader(log, RelationGetDescr(relation)), rows};
        fault = read_rows(log, recorded, &restoring);
    });
    return error != nullptr ? error->message : fault;
}

// Whether a hold matches an entry of the file, unless it cannot be told, for this reason.
bool is_held_in_file(const Log& log, const RecordedFile& recorded, const char* held,
                     const char** fault) {
    MemoryContext context = AllocSetContextCreate(CurrentMemoryContext, "auditchain held entries",
                                                  ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    Relation relation = table_open(log.relation, AccessShareLock);
    Tuplestorestate* rows = tuplestore_begin_heap(false, false, work_mem);
    const char* unreadable = try_read_rows(log, recorded, relation, rows);
    MemoryContextSwitchTo(caller);  // which outlives what SPI keeps of a named relation
    *fault = unreadable == nullptr ? nullptr : pstrdup(unreadable);
    bool found = unreadable == nullptr && matches_any(log.relation, rows, held);
    tuplestore_end(rows);
    table_close(relation, NoLock);
    MemoryContextDelete(context);
    return found;
}

// Whether the file may go, unless that cannot be told, for this reason.
bool may_remove(const Log& log, std::int64_t archive, const RecordedFile& recorded,
                const char** fault) {
    BundleFileContents contents;
    *fault = read_recorded(log, recorded, &contents);
    const char* held =
        *fault == nullptr ? held_condition(log, log.relation, RowsFrom::payloads) : nullptr;
    if (*fault != nullptr || held == nullptr) {
        return *fault == nullptr;
    }
    *fault = contents.unusable != nullptr ? contents.unusable
                                          : ranges_fault(log, archive, *contents.verdict);
    return *fault == nullptr && !is_held_in_file(log, recorded, held, fault) && *fault == nullptr;
}

}  // namespace

bool may_expire_file(const Log& log, std::int64_t archive, const RecordedFile& recorded) {
    const char* fault;
    bool may = may_remove(log, archive, recorded, &fault);
    if (fault != nullptr) {
        ereport(WARNING, errcode(ERRCODE_AC_DAMAGED_LOG),
                errmsg("archive %lld of log \"%s\" is past its time, and is kept",
                       static_cast<long long>(archive), get_rel_name(log.relation)),
                errdetail("It cannot be told what %s has: %s.", recorded.path, fault),
                errhint("SELECT * FROM auditchain.verify_archive(%lld)",
                        static_cast<long long>(archive)));
    }
    return may;
}

void remove_expired_files(const Log& log) {
    query_catalog(
        "SELECT archive_id FROM auditchain.archive "
        "WHERE log_id = $1 AND expired_at IS NOT NULL AND file IS NOT NULL AND made_in = $2",
        {uuid_arg(log.id), text_arg(identity_of(log))});
    SPITupleTable* rows = SPI_tuptable;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        std::int64_t archive = DatumGetInt64(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null));
        RecordedFile recorded = read_recorded_file(archive);
        // There is nothing in most places, and in others it may be another by now.
        BundleFileContents contents;
        if (read_recorded(log, recorded, &contents) == nullptr) {
            remove_file_at_commit(recorded.path);
        }
    }
}

}  // namespace auditchain::pg
