#include "pg/personal_key_table.h"

#include "core/hmac.h"
#include "core/personal_field.h"
#include "pg/barrier.h"
#include "pg/catalog.h"
#include "pg/entry.h"
#include "pg/key_ring.h"

extern "C" {
#include <access/genam.h>
#include <access/htup_details.h>
#include <access/table.h>
#include <catalog/indexing.h>
#include <miscadmin.h>
#include <utils/fmgroids.h>
#include <utils/fmgrprotos.h>
#include <utils/inval.h>
#include <utils/memutils.h>
#include <utils/rel.h>
#include <utils/snapmgr.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// Columns of auditchain.subject_key, in the order of sql/personal.sql.
enum KeyColumn : AttrNumber { kKeyId = 1, kSubject, kWrapped, kMaster, kCreatedAt };
constexpr int kKeyColumns = kCreatedAt;

std::string_view bytes_of(Datum value) {
    struct varlena* bytes = PG_DETOAST_DATUM_PACKED(value);
    return {VARDATA_ANY(bytes), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(bytes))};
}

Datum bytea_datum(const void* data, std::size_t size) {
    auto* bytes = static_cast<bytea*>(palloc(VARHDRSZ + size));
    SET_VARSIZE(bytes, VARHDRSZ + size);
    memcpy(VARDATA(bytes), data, size);
    return PointerGetDatum(bytes);
}

// Tries all master keys: who wrapped a key tells by whether it opens.
bool unwrap_by_any(const WrappedKey& wrapped, AesKey* out) {
    bool opened = false;
    ReceiptSecret master;
    for (int i = 0; !opened && personal_key(i, &master); i++) {
        barrier([&] { opened = unwrap_key(master, wrapped, out); });
    }
    erase(master);
    return opened;
}

void unwrap(HeapTuple tuple, TupleDesc descriptor, AesKey* out) {
    bool null;
    std::string_view stored = bytes_of(heap_getattr(tuple, kWrapped, descriptor, &null));
    WrappedKey wrapped = {};
    memcpy(wrapped.data(), stored.data(), std::min(stored.size(), wrapped.size()));
    if (unwrap_by_any(wrapped, out)) {
        return;
    }
    ReceiptSecret newest;
    if (!personal_key(0, &newest)) {
        refuse_without_personal_key("personal fields are encrypted");
    }
    erase(newest);
    const char* master = TextDatumGetCString(heap_getattr(tuple, kMaster, descriptor, &null));
    ereport(
        ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("the key of a data subject does not open"),
        errdetail("It is wrapped by the personal key %s, which the server has not got.", master),
        errhint("Append that key to those of auditchain.personal_key_file or "
                "auditchain.personal_key_command, and SELECT auditchain.reload_keys()."));
}

// The id of a master key, as it is on record.
using MasterId = char[16];

// The newest master key wraps the key; its id goes to `master`.
WrappedKey wrap_by_newest(const AesKey& key, MasterId* master) {
    ReceiptSecret newest;
    if (!personal_key(0, &newest)) {
        refuse_without_personal_key("personal fields are to be encrypted");
    }
    WrappedKey wrapped = {};
    Sha256& hasher = sha256();
    barrier([&] {
        struct Eraser {
            ReceiptSecret& secret;
            ~Eraser() { erase(secret); }
        } eraser{newest};
        wrapped = wrap_key(newest, key);
        strlcpy(*master, personal_key_id(hasher, newest).c_str(), sizeof(MasterId));
    });
    return wrapped;
}

// A scan over keys: what is committed now and what this transaction did, whatever its isolation
// level.
struct KeyScan {
    Relation keys;
    Snapshot snapshot;
    SysScanDesc scan;
};

// By a snapshot, as SnapshotSelf misses a row that is updated while the scan is between its two
// versions. That of catalogs is taken anew for a table without a syscache, in parallel workers,
// too. With the next command's number it sees what this command did.
Snapshot take_snapshot(Relation keys) {
    Snapshot snapshot = RegisterSnapshot(GetCatalogSnapshot(RelationGetRelid(keys)));
    snapshot->curcid++;
    return snapshot;
}

KeyScan begin_scan(const char* index, ScanKey key, int count, LOCKMODE lock) {
    KeyScan scan = {};
    scan.keys = table_open(catalog_object("subject_key"), lock);
    Oid by = index == nullptr ? InvalidOid : catalog_object(index);
    scan.snapshot = take_snapshot(scan.keys);
    scan.scan = systable_beginscan(scan.keys, by, OidIsValid(by), scan.snapshot, count, key);
    return scan;
}

void end_scan(const KeyScan& scan) {
    systable_endscan(scan.scan);
    UnregisterSnapshot(scan.snapshot);
    table_close(scan.keys, NoLock);
}

KeyScan begin_subject_scan(const Digest& subject, LOCKMODE lock) {
    ScanKeyData key;
    ScanKeyInit(&key, kSubject, BTEqualStrategyNumber, F_BYTEAEQ,
                bytea_datum(subject.bytes.data(), subject.bytes.size()));
    return begin_scan("subject_key_subject_idx", &key, 1, lock);
}

KeyScan begin_id_scan(const pg_uuid_t& id) {
    ScanKeyData key;
    ScanKeyInit(&key, kKeyId, BTEqualStrategyNumber, F_UUID_EQ, UUIDPGetDatum(&id));
    return begin_scan("subject_key_pkey", &key, 1, AccessShareLock);
}

void name_key(const pg_uuid_t& id, SubjectKey* key) {
    key->id = id;
    strlcpy(key->id_text, DatumGetCString(DirectFunctionCall1(uuid_out, UUIDPGetDatum(&id))),
            sizeof key->id_text);
}

void read_row(const KeyScan& scan, HeapTuple tuple, SubjectKey* key) {
    TupleDesc descriptor = RelationGetDescr(scan.keys);
    bool null;
    name_key(*DatumGetUUIDP(heap_getattr(tuple, kKeyId, descriptor, &null)), key);
    unwrap(tuple, descriptor, &key->key);
}

// Reads the first key that the scan finds; false where there is none.
bool read_first(const KeyScan& scan, SubjectKey* out) {
    HeapTuple tuple = systable_getnext(scan.scan);
    bool found = HeapTupleIsValid(tuple);
    if (found) {
        read_row(scan, tuple, out);
    }
    end_scan(scan);
    return found;
}

// Returns whether the row was not wrapped by the newest master key yet: one that a scan has
// rewrapped is seen by it again.
bool rewrap(Relation keys, HeapTuple tuple) {
    TupleDesc descriptor = RelationGetDescr(keys);
    AesKey key;
    unwrap(tuple, descriptor, &key);
    MasterId master;
    WrappedKey wrapped = wrap_by_newest(key, &master);
    erase(key);
    bool null;
    Datum old_master = heap_getattr(tuple, kMaster, descriptor, &null);
    if (strcmp(TextDatumGetCString(old_master), master) == 0) {
        return false;
    }
    Datum values[kKeyColumns] = {};
    bool nulls[kKeyColumns] = {};
    bool replaced[kKeyColumns] = {};
    values[kWrapped - 1] = bytea_datum(wrapped.data(), wrapped.size());
    values[kMaster - 1] = CStringGetTextDatum(master);
    replaced[kWrapped - 1] = replaced[kMaster - 1] = true;
    HeapTuple rewrapped = heap_modify_tuple(tuple, descriptor, values, nulls, replaced);
    CatalogTupleUpdate(keys, &rewrapped->t_self, rewrapped);
    return true;
}

}  // namespace

void make_key(const Digest* subject, SubjectKey* out) {
    // Before the master key is read: rotation excludes this lock, so that it misses no key.
    Relation keys = table_open(catalog_object("subject_key"), RowExclusiveLock);
    name_key(*DatumGetUUIDP(DirectFunctionCall1(gen_random_uuid, 0)), out);
    barrier([&] { make_random_key(&out->key); });
    MasterId master;
    WrappedKey wrapped = wrap_by_newest(out->key, &master);
    Datum values[kKeyColumns] = {
        UUIDPGetDatum(&out->id),
        subject == nullptr ? 0 : bytea_datum(subject->bytes.data(), subject->bytes.size()),
        bytea_datum(wrapped.data(), wrapped.size()), CStringGetTextDatum(master),
        TimestampTzGetDatum(GetCurrentTimestamp())};
    bool nulls[kKeyColumns] = {false, subject == nullptr, false, false, false};
    HeapTuple tuple = heap_form_tuple(RelationGetDescr(keys), values, nulls);
    CatalogTupleInsert(keys, tuple);
    heap_freetuple(tuple);
    table_close(keys, NoLock);
}

bool read_key_of(const Digest& subject, SubjectKey* out) {
    return read_first(begin_subject_scan(subject, AccessShareLock), out);
}

bool read_key(const pg_uuid_t& id, SubjectKey* out) {
    return read_first(begin_id_scan(id), out);
}

bool subject_key_exists(const pg_uuid_t& id) {
    KeyScan scan = begin_id_scan(id);
    bool found = HeapTupleIsValid(systable_getnext(scan.scan));
    end_scan(scan);
    return found;
}

bool read_pseudonym_secret(SubjectKey* out) {
    ScanKeyData key;
    ScanKeyEntryInitialize(&key, SK_ISNULL | SK_SEARCHNULL, kSubject, InvalidStrategy, InvalidOid,
                           InvalidOid, InvalidOid, 0);
    return read_first(begin_scan("subject_key_subject_idx", &key, 1, AccessShareLock), out);
}

List* delete_keys_of(const Digest& subject) {
    List* ids = NIL;
    KeyScan scan = begin_subject_scan(subject, RowExclusiveLock);
    while (HeapTuple tuple = systable_getnext(scan.scan)) {
        bool null;
        auto* id = static_cast<pg_uuid_t*>(palloc(sizeof(pg_uuid_t)));
        *id = *DatumGetUUIDP(heap_getattr(tuple, kKeyId, RelationGetDescr(scan.keys), &null));
        ids = lappend(ids, id);
        CatalogTupleDelete(scan.keys, &tuple->t_self);
    }
    CacheInvalidateRelcache(scan.keys);
    end_scan(scan);
    return ids;
}

std::int64_t rewrap_subject_keys() {
    // Excludes who makes and destroys keys, not who reads them.
    KeyScan scan = begin_scan(nullptr, nullptr, 0, ShareRowExclusiveLock);
    MemoryContext row_context =
        AllocSetContextCreate(CurrentMemoryContext, "auditchain key", ALLOCSET_SMALL_SIZES);
    MemoryContext caller = MemoryContextSwitchTo(row_context);
    std::int64_t count = 0;
    while (HeapTuple tuple = systable_getnext(scan.scan)) {
        CHECK_FOR_INTERRUPTS();
        count += rewrap(scan.keys, tuple);
        MemoryContextReset(row_context);
    }
    MemoryContextSwitchTo(caller);
    MemoryContextDelete(row_context);
    end_scan(scan);
    return count;
}

}  // namespace auditchain::pg
