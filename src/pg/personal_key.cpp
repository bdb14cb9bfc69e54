#include "pg/personal_key.h"

#include "core/hmac.h"
#include "pg/barrier.h"
#include "pg/catalog.h"
#include "pg/key_ring.h"
#include "pg/personal_key_table.h"

extern "C" {
#include <access/xact.h>
#include <miscadmin.h>
#include <storage/lmgr.h>
#include <utils/hsearch.h>
#include <utils/inval.h>
}

namespace auditchain::pg {
namespace {

// Subjects share this many locks, so that a transaction that writes about a million of them does
// not exhaust the lock table.
constexpr std::uint32_t kLocks = 1024;

// Keys that the backend has unwrapped: by the subject's pseudonym for who encrypts, by id for who
// decrypts. They are wiped when somebody has destroyed a key, when the master keys change, when a
// transaction fails, as it may have made some of them, and when they are many.
constexpr long kKept = 1024;
HTAB* by_subject = nullptr;
HTAB* by_id = nullptr;
HmacSha256* pseudonyms = nullptr;
bool keeps_any = false;
std::uint64_t kept_generation = 0;
Oid key_table = InvalidOid;  // whose invalidations tell of destroyed keys

template <typename Id>
struct KeptKey {
    Id id;
    SubjectKey key;
    std::uint64_t seen_in;  // the transaction that read it, or saw that it is there still
};

std::uint64_t transactions = 0;  // that this backend has ended

template <typename Id>
void wipe_keys(HTAB* kept) {
    HASH_SEQ_STATUS scan;
    hash_seq_init(&scan, kept);
    while (auto* entry = static_cast<KeptKey<Id>*>(hash_seq_search(&scan))) {
        erase_key(&entry->key);
        hash_search(kept, &entry->id, HASH_REMOVE, nullptr);
    }
}

void wipe() {
    if (keeps_any) {
        wipe_keys<Digest>(by_subject);
        wipe_keys<pg_uuid_t>(by_id);
        delete pseudonyms;
        pseudonyms = nullptr;
        keeps_any = false;
    }
}

void wipe_on_invalidation(Datum, Oid relation) {
    if (relation == InvalidOid || relation == key_table) {
        wipe();
    }
}

void wipe_after_transaction(XactEvent event, void*) {
    transactions++;
    if (event == XACT_EVENT_ABORT || event == XACT_EVENT_PREPARE) {
        wipe();
    }
}

void wipe_after_savepoint(SubXactEvent event, SubTransactionId, SubTransactionId, void*) {
    if (event == SUBXACT_EVENT_ABORT_SUB) {
        wipe();
    }
}

void follow_master_keys() {
    std::uint64_t generation = key_generation();
    if (generation != kept_generation) {
        wipe();
        kept_generation = generation;
    }
}

template <typename Id>
KeptKey<Id>* find_kept(HTAB* kept, const Id& id) {
    return static_cast<KeptKey<Id>*>(hash_search(kept, &id, HASH_FIND, nullptr));
}

template <typename Id>
void keep(HTAB* kept, const Id& id, const SubjectKey& key) {
    if (hash_get_num_entries(kept) >= kKept) {
        wipe();
    }
    auto* entry = static_cast<KeptKey<Id>*>(hash_search(kept, &id, HASH_ENTER, nullptr));
    entry->key = key;
    entry->seen_in = transactions;
    keeps_any = true;
}

template <typename Id>
HTAB* make_kept(const char* name) {
    HASHCTL control = {};
    control.keysize = sizeof(Id);
    control.entrysize = sizeof(KeptKey<Id>);
    return hash_create(name, 64, &control, HASH_ELEM | HASH_BLOBS);
}

// Copies the kept key of a subject. Rows that were deleted by other means than an erasure tell
// nobody, so each transaction looks for them once: what was encrypted with such a key is lost.
bool find_to_encrypt(const Digest& pseudonym, SubjectKey* out) {
    auto* kept = find_kept(by_subject, pseudonym);
    if (kept == nullptr) {
        return false;
    }
    *out = kept->key;
    if (kept->seen_in == transactions) {
        return true;
    }
    if (!subject_key_exists(out->id)) {
        wipe();
        return false;
    }
    // The look may have wiped what is kept.
    keep(by_subject, pseudonym, *out);
    return true;
}

// An object lock whose class is the table of keys: to encrypt is shared, to destroy excludes it.
LOCKTAG subject_lock(const Digest& subject) {
    std::uint32_t number;
    memcpy(&number, subject.bytes.data(), sizeof number);
    LOCKTAG tag;
    SET_LOCKTAG_OBJECT(tag, MyDatabaseId, catalog_object("subject_key"), number % kLocks, 0);
    return tag;
}

}  // namespace

Digest subject_pseudonym(std::string_view subject) {
    follow_master_keys();
    if (pseudonyms == nullptr) {
        SubjectKey secret;
        key_table = catalog_object("subject_key");
        if (!read_pseudonym_secret(&secret)) {
            ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                    errmsg("this database has no personal fields"),
                    errdetail("No log has declared any, so no data subject has a key."),
                    errhint("SELECT auditchain.protect_fields('log', 'subject', '{field}')"));
        }
        keeps_any = true;
        barrier([&] {
            struct Eraser {
                SubjectKey& secret;
                ~Eraser() { erase_key(&secret); }
            } eraser{secret};
            pseudonyms = new HmacSha256(secret.key);
        });
    }
    Digest pseudonym;
    barrier([&] { pseudonym = (*pseudonyms)({subject}); });
    return pseudonym;
}

void require_pseudonym_secret() {
    SubjectKey secret;
    if (!read_pseudonym_secret(&secret)) {
        // One session makes it; others wait for its end. Once it is there nobody waits for this
        // lock, which first entries about subjects would.
        LockRelationOid(catalog_object("subject_key"), ShareRowExclusiveLock);
        if (!read_pseudonym_secret(&secret)) {
            make_key(nullptr, &secret);
        }
    }
    erase_key(&secret);
}

void use_subject_key(std::string_view subject, SubjectKey* out) {
    Digest pseudonym = subject_pseudonym(subject);
    LOCKTAG tag = subject_lock(pseudonym);
    if (LockAcquire(&tag, RowExclusiveLock, false, false) == LOCKACQUIRE_OK) {
        // Who destroyed the subject's key has told before the lock was free.
        AcceptInvalidationMessages();
    }
    follow_master_keys();
    if (find_to_encrypt(pseudonym, out)) {
        return;
    }
    // Another session that begins with this subject now makes a key, too: neither waits.
    if (!read_key_of(pseudonym, out)) {
        make_key(&pseudonym, out);
    }
    keep(by_subject, pseudonym, *out);
}

bool find_subject_key(const pg_uuid_t& id, SubjectKey* out) {
    // Long transactions, too, learn at once what was destroyed.
    AcceptInvalidationMessages();
    follow_master_keys();
    if (const auto* kept = find_kept(by_id, id)) {
        *out = kept->key;
        return true;
    }
    // Before it is read: what is destroyed afterwards has to be told.
    key_table = catalog_object("subject_key");
    bool found = read_key(id, out);
    if (found) {
        keep(by_id, id, *out);
    }
    return found;
}

void erase_key(SubjectKey* key) {
    erase(key->key);
}

void lock_subject_keys(std::string_view subject) {
    LOCKTAG tag = subject_lock(subject_pseudonym(subject));
    LockAcquire(&tag, ExclusiveLock, false, false);
}

List* destroy_subject_keys(std::string_view subject) {
    List* ids = delete_keys_of(subject_pseudonym(subject));
    wipe();
    return ids;
}

void init_subject_keys() {
    by_subject = make_kept<Digest>("auditchain keys by subject");
    by_id = make_kept<pg_uuid_t>("auditchain keys by id");
    CacheRegisterRelcacheCallback(wipe_on_invalidation, 0);
    RegisterXactCallback(wipe_after_transaction, nullptr);
    RegisterSubXactCallback(wipe_after_savepoint, nullptr);
}

}  // namespace auditchain::pg
