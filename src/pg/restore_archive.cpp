// restore_archive(): the entries of a bundle in a table for queries.

#include "pg/archive_directory.h"
#include "pg/bundle_file.h"
#include "pg/cold_table.h"
#include "pg/entry_scan.h"
#include "pg/errors.h"
#include "pg/progress.h"
#include "pg/retention.h"
#include "pg/row_reader.h"
#include "pg/verify.h"

extern "C" {
#include <access/heapam.h>
#include <access/table.h>
#include <access/tableam.h>
#include <access/xact.h>
#include <catalog/namespace.h>
#include <executor/executor.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <tcop/utility.h>
#include <utils/acl.h>
#include <utils/guc.h>
#include <utils/lsyscache.h>
}

#include <unistd.h>

namespace auditchain::pg {
namespace {

struct Restoring {
    Relation table;
    TupleTableSlot* slot;
    BulkInsertState bulk;
    RowReader* reader;
};

void restore_entry(void* state, const BundledEntry& entry) {
    auto* restoring = static_cast<Restoring*>(state);
    TupleTableSlot* slot = ExecClearTuple(restoring->slot);
    RowReader* reader = restoring->reader;
    read_row(reader, entry);
    std::copy_n(reader->values, reader->descriptor->natts, slot->tts_values);
    std::copy_n(reader->nulls, reader->descriptor->natts, slot->tts_isnull);
    ExecStoreVirtualTuple(slot);
    table_tuple_insert(restoring->table, slot, GetCurrentCommandId(true), 0, restoring->bulk);
}

// The log's name with "_restored_1" behind it, or the next number that is free.
const char* free_name(const Log& log, Oid schema) {
    const char* name = get_rel_name(log.relation);
    for (int number = 1;; number++) {
        const char* suffix = psprintf("_restored_%d", number);
        int length = pg_mbcliplen(name, static_cast<int>(strlen(name)),
                                  NAMEDATALEN - 1 - static_cast<int>(strlen(suffix)));
        const char* candidate = psprintf("%.*s%s", length, name, suffix);
        if (!OidIsValid(schema) || !OidIsValid(get_relname_relid(candidate, schema))) {
            return candidate;
        }
    }
}

// In the log's schema; or, for who may not make tables there, a temporary one.
Oid make_table(const Log& log) {
    Oid schema = get_rel_namespace(log.relation);
    bool temporary = !compat::may_create_in(schema, GetUserId());
    if (temporary) {
        schema = LookupCreationNamespace("pg_temp");
    }
    const char* name = free_name(log, schema);
    const char* qualified =
        quote_qualified_identifier(temporary ? "pg_temp" : get_namespace_name(schema), name);
    SPI_execute(psprintf("CREATE TABLE %s (%s)", qualified, cold_columns(log)), false, 0);
    return get_relname_relid(name, schema);
}

[[noreturn]] void refuse_bundle(const char* path, const char* detail) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG), errmsg("\"%s\" cannot be restored", path),
            errdetail("%s.", detail),
            errhint("Nothing has been changed. \"auditchain verify\" lists all that is wrong with "
                    "a bundle."));
    pg_unreachable();
}

// The first violation is enough.
void require_intact(const Log& log, const char* path, const BundleFileContents& contents) {
    ViolationReceiver receiver = {
        [](void* state, const ReportedViolation& violation) {
            const char* place =
                violation.chain == nullptr
                    ? ""
                    : psprintf(" (position %lld of chain %s)",
                               static_cast<long long>(violation.position), violation.chain);
            refuse_bundle(static_cast<const char*>(state),
                          psprintf("%s: %s%s", violation.kind, violation.detail, place));
        },
        const_cast<char*>(path)};
    report_bundle(contents, receiver);
    if (const char* fault = foreign_tree(log, *contents.verdict)) {
        refuse_bundle(path, fault);
    }
}

// Reads all of the bundle, so that nothing of a forged one is given to types.
void verify_bundle(const Log& log, const char* path, int fd) {
    MemoryContext context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain bundle", ALLOCSET_DEFAULT_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(context);
    require_intact(log, path, read_bundle_file(fd, log, nullptr));
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(context);
}

// Reading values runs code of the log's owner, such as the checks of domains: with the owner's
// rights, whoever restores.
void restore_entries(const Log& log, const char* path, int fd, Oid table) {
    if (lseek(fd, 0, SEEK_SET) != 0) {
        refuse_archive_file("read", path);
    }
    OwnerWork owner = begin_owner_work(log);
    Restoring restoring = {};
    restoring.table = table_open(table, AccessExclusiveLock);
    restoring.slot = table_slot_create(restoring.table, nullptr);
    restoring.bulk = GetBulkInsertState();
    restoring.reader = make_row_reader(cold_log(log, table), RelationGetDescr(restoring.table));
    BundleEntryReceiver receiver = {restore_entry, &restoring};
    BundleFileContents contents = read_bundle_file(fd, log, &receiver);
    FreeBulkInsertState(restoring.bulk);
    ExecDropSingleTupleTableSlot(restoring.slot);
    table_close(restoring.table, NoLock);
    // It may be another file since.
    require_intact(log, path, contents);
    end_owner_work(owner);
}

Oid restore_archive(const Log& log, const char* path) {
    require_safe_path(path, psprintf("\"%s\" cannot be restored", path));
    int fd = open_archive_file(path);
    if (fd < 0) {
        refuse_archive_file("open", path);
    }
    OwnedFile* file = own_file(fd);
    begin_progress(log.relation, "restore_archive", "reading the bundle", -1);
    verify_bundle(log, path, fd);
    enter_phase("copying entries", -1);
    Oid table = make_table(log);
    restore_entries(log, path, fd, table);
    close_file(file);
    SPI_execute(
        psprintf("ALTER TABLE %s ADD UNIQUE (chain_id, chain_position)", qualified_name(table)),
        false, 0);
    return table;
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// restore_archive(log regclass, bundle text) → regclass
AUDITCHAIN_FUNCTION(auditchain_restore_archive) {
    PreventCommandIfReadOnly("restore_archive()");
    PreventCommandDuringRecovery("restore_archive()");
    const Log& log = require_log(PG_GETARG_OID(0));
    const char* path = text_to_cstring(PG_GETARG_TEXT_PP(1));
    SPI_connect();
    int guc_level = forbid_row_security();
    require_readable(log);
    Oid table = restore_archive(log, path);
    AtEOXact_GUC(true, guc_level);
    SPI_finish();
    PG_RETURN_OID(table);
}
