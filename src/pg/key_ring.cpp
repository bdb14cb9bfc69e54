#include "pg/key_ring.h"

#include "core/hmac.h"
#include "pg/errors.h"
#include "pg/key_reader.h"
#include "pg/sealer_slots.h"
#include "pg/settings.h"
#include "pg/shared_memory.h"

extern "C" {
#include <miscadmin.h>
#include <port/atomics.h>
#include <storage/lwlock.h>
#include <sys/mman.h>
#include <unistd.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

struct KeyRing {
    pg_atomic_uint64 generation;
    KeyFault signing_fault;  // of the newest attempt to read it; no detail: none
    KeyFault receipt_fault;
    KeyFault personal_fault;
    int ids;
    SecretName id[kMaxReceiptSecrets];  // of the receipt secrets, or their epoch
    Secrets* secrets;                   // on pages of their own that core dumps leave out
};

constexpr int kRetryMilliseconds = 1000;  // where a key that is due cannot be replaced

enum KeyLock { kRingLock, kReloadLock, kKeyLocks };

KeyRing* ring = nullptr;
LWLockPadded* locks = nullptr;

void name_secrets(const Secrets& secrets) {
    ring->ids = 0;
    for (int i = 0; i <= secrets.count; i++) {
        if (i == secrets.evolving_line) {
            snprintf(ring->id[ring->ids++], sizeof ring->id[0], "epoch %u", secrets.evolving.epoch);
        }
        if (i < secrets.count && name_secret(secrets.receipt[i], ring->id[ring->ids])) {
            ring->ids++;
        }
    }
}

void warn(const KeySource& source, const KeyFault& fault, bool kept) {
    ereport(WARNING, errcode(ERRCODE_AC_NO_KEY),
            errmsg(kept ? "auditchain cannot read its %s, and keeps the one in use"
                        : "auditchain cannot read its %s",
                   source.key),
            errdetail("%s", fault.detail), errhint("%s", fault.hint));
}

struct KeysRead {
    Secrets secrets;
    bool signing;  // read, or there is none
    bool receipt;
    bool personal;
    KeyFault signing_fault;
    KeyFault receipt_fault;
    KeyFault personal_fault;
};

void store_signing_key(const KeysRead& read) {
    if (read.signing) {
        ring->secrets->has_seed = read.secrets.has_seed;
        ring->secrets->seed = read.secrets.seed;
    }
    ring->signing_fault = read.signing_fault;
}

// What was there before is overwritten.
void store_receipt_key(const KeysRead& read) {
    if (read.receipt) {
        ring->secrets->count = read.secrets.count;
        std::copy(std::begin(read.secrets.receipt), std::end(read.secrets.receipt),
                  ring->secrets->receipt);
        ring->secrets->evolving_line = read.secrets.evolving_line;
        ring->secrets->evolving = read.secrets.evolving;
        name_secrets(read.secrets);
    }
    ring->receipt_fault = read.receipt_fault;
}

void store_personal_key(const KeysRead& read) {
    if (read.personal) {
        ring->secrets->personal_count = read.secrets.personal_count;
        std::copy(std::begin(read.secrets.personal), std::end(read.secrets.personal),
                  ring->secrets->personal);
    }
    ring->personal_fault = read.personal_fault;
}

// Reads all keys, or only that of receipts, and puts into the ring what could be read. Raises no
// error. At server start nobody else is there; later the caller holds kReloadLock.
bool read_keys(bool all) {
    KeysRead read = {};
    read.secrets.evolving_line = -1;
    KeySource signing = signing_source();
    KeySource receipt = receipt_source();
    KeySource personal = personal_source();
    read.signing = !all || read_signing_key(signing, &read.secrets, &read.signing_fault);
    read.personal = !all || read_personal_key(personal, &read.secrets, &read.personal_fault);
    // Only who holds kReloadLock changes the ring.
    read.receipt = read_receipt_key(receipt, *ring->secrets, &read.secrets, &read.receipt_fault);

    LWLockAcquire(&locks[kRingLock].lock, LW_EXCLUSIVE);
    bool known_fault = strcmp(ring->receipt_fault.detail, read.receipt_fault.detail) == 0;
    if (all) {
        store_signing_key(read);
        store_personal_key(read);
    }
    store_receipt_key(read);
    bool signing_kept = ring->secrets->has_seed;
    bool receipt_kept = ring->ids > 0;
    bool personal_kept = ring->secrets->personal_count > 0;
    pg_atomic_fetch_add_u64(&ring->generation, 1);
    LWLockRelease(&locks[kRingLock].lock);
    erase({reinterpret_cast<std::uint8_t*>(&read.secrets), sizeof read.secrets});

    if (!read.signing) {
        warn(signing, read.signing_fault, signing_kept);
    }
    if (!read.receipt && (all || !known_fault)) {
        warn(receipt, read.receipt_fault, receipt_kept);
    }
    if (!read.personal) {
        warn(personal, read.personal_fault, personal_kept);
    }
    return read.signing && read.receipt && read.personal;
}

Size page_size() {
    return static_cast<Size>(sysconf(_SC_PAGESIZE));
}

Size secrets_size() {
    return TYPEALIGN(page_size(), sizeof(Secrets));
}

// Shared memory is not aligned to pages: one more holds what is before the first.
Size ring_size() {
    return sizeof(KeyRing) + page_size() + secrets_size();
}

void make_ring() {
    pg_atomic_init_u64(&ring->generation, 0);
    ring->secrets = reinterpret_cast<Secrets*>(TYPEALIGN(page_size(), ring + 1));
    ring->secrets->evolving_line = -1;
    // Where the kernel does not let us, as with huge pages, core dumps have to be kept safe.
    madvise(ring->secrets, secrets_size(), MADV_DONTDUMP);
    read_keys(true);
}

void attach_ring(void* memory, bool is_new) {
    ring = static_cast<KeyRing*>(memory);
    locks = GetNamedLWLockTranche("auditchain_keys");
    if (is_new) {
        make_ring();
    }
}

SharedMemory shared_memory = {"auditchain keys", ring_size, attach_ring, "auditchain_keys",
                              kKeyLocks};

[[noreturn]] void refuse_without_key(const char* message, const KeySource& source,
                                     const KeyFault* fault) {
    if (!has_key_ring()) {
        ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("%s", message),
                errdetail("auditchain is not preloaded, so the server has read no keys."),
                errhint("Put auditchain into shared_preload_libraries, set %s or %s, and restart.",
                        source.file_setting, source.command_setting));
    }
    if (fault->detail[0] != '\0') {
        ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("%s", message),
                errdetail("%s", fault->detail),
                errhint("%s Then SELECT auditchain.reload_keys().", fault->hint));
    }
    ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("%s", message),
            errdetail("Neither %s nor %s is set.", source.file_setting, source.command_setting),
            errhint("Set one, reload the configuration, and SELECT auditchain.reload_keys()."));
    pg_unreachable();
}

KeyFault* copy_fault(const KeyFault* fault) {
    auto* copy = static_cast<KeyFault*>(palloc0(sizeof(KeyFault)));
    if (has_key_ring()) {
        LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
        *copy = *fault;
        LWLockRelease(&locks[kRingLock].lock);
    }
    return copy;
}

KeyState key_state(const char* value, const KeyFault* fault) {
    const KeyFault* copy = copy_fault(fault);
    return {value, copy->detail[0] == '\0' ? nullptr : psprintf("%s %s", copy->detail, copy->hint)};
}

}  // namespace

bool has_key_ring() {
    return ring != nullptr;
}

bool signing_key(Ed25519Seed* seed) {
    if (!has_key_ring()) {
        return false;
    }
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    bool found = ring->secrets->has_seed;
    if (found) {
        *seed = ring->secrets->seed;
    }
    LWLockRelease(&locks[kRingLock].lock);
    return found;
}

void require_signing_key(Ed25519Seed* seed) {
    if (!signing_key(seed)) {
        refuse_without_key("the server has no key to sign checkpoints with", signing_source(),
                           has_key_ring() ? copy_fault(&ring->signing_fault) : nullptr);
    }
}

std::uint64_t key_generation() {
    return has_key_ring() ? pg_atomic_read_u64(&ring->generation) : 0;
}

bool receipt_secret(int number, ReceiptSecret* secret) {
    if (!has_key_ring()) {
        return false;
    }
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    bool found = number < ring->secrets->count;
    if (found) {
        *secret = ring->secrets->receipt[number];
    }
    LWLockRelease(&locks[kRingLock].lock);
    return found;
}

int receipt_secret_count() {
    if (!has_key_ring()) {
        return 0;
    }
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    int count = ring->secrets->count;
    LWLockRelease(&locks[kRingLock].lock);
    return count;
}

bool has_receipt_key() {
    return receipt_secret_count() > 0 || evolving_state().exists;
}

void refuse_without_receipt_key(const char* what) {
    refuse_without_key(psprintf("%s, and the server has no receipt key", what), receipt_source(),
                       has_key_ring() ? copy_fault(&ring->receipt_fault) : nullptr);
}

bool personal_key(int number, ReceiptSecret* key) {
    if (!has_key_ring()) {
        return false;
    }
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    bool found = number < ring->secrets->personal_count;
    if (found) {
        *key = ring->secrets->personal[number];
    }
    LWLockRelease(&locks[kRingLock].lock);
    return found;
}

void refuse_without_personal_key(const char* what) {
    refuse_without_key(psprintf("%s, and the server has no personal key", what), personal_source(),
                       has_key_ring() ? copy_fault(&ring->personal_fault) : nullptr);
}

bool reload_keys() {
    if (!has_key_ring()) {
        return false;
    }
    // One at a time, so that who reads last stores last.
    LWLockAcquire(&locks[kReloadLock].lock, LW_EXCLUSIVE);
    bool done = read_keys(true);
    LWLockRelease(&locks[kReloadLock].lock);
    return done;
}

EvolvingState evolving_state() {
    EvolvingState state = {};
    if (has_key_ring()) {
        LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
        const Secrets& secrets = *ring->secrets;
        state.exists = secrets.evolving_line >= 0;
        state.in_use = secrets.evolving_line == 0;
        state.epoch = secrets.evolving.epoch;
        state.length = secrets.evolving.length;
        if (state.exists) {
            state.end = end_of_epoch(secrets.evolving, secrets.evolving.epoch);
        }
        LWLockRelease(&locks[kRingLock].lock);
    }
    return state;
}

bool evolving_secret(std::uint32_t* epoch, ReceiptSecret* secret) {
    if (!has_key_ring()) {
        return false;
    }
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    bool found = ring->secrets->evolving_line >= 0;
    if (found) {
        *epoch = ring->secrets->evolving.epoch;
        *secret = ring->secrets->evolving.secret;
    }
    LWLockRelease(&locks[kRingLock].lock);
    return found;
}

TimestampTz evolve_keys() {
    EvolvingState state = evolving_state();
    if (state.exists && state.end <= static_cast<std::uint64_t>(time(nullptr))) {
        LWLockAcquire(&locks[kReloadLock].lock, LW_EXCLUSIVE);
        read_keys(false);
        LWLockRelease(&locks[kReloadLock].lock);
        state = evolving_state();
    }
    if (!state.exists) {
        return DT_NOEND;
    }
    TimestampTz end = time_t_to_timestamptz(static_cast<pg_time_t>(state.end));
    TimestampTz now = GetCurrentTimestamp();
    return end > now ? end : TimestampTzPlusMilliseconds(now, kRetryMilliseconds);
}

KeyState signing_key_state() {
    Ed25519Seed seed;
    bool found = signing_key(&seed);
    erase(seed);
    return key_state(found ? "loaded" : "none", has_key_ring() ? &ring->signing_fault : nullptr);
}

KeyState receipt_key_state() {
    if (!has_key_ring()) {
        return {"none", nullptr};
    }
    StringInfoData text;
    initStringInfo(&text);
    LWLockAcquire(&locks[kRingLock].lock, LW_SHARED);
    for (int i = 0; i < ring->ids; i++) {
        appendStringInfo(&text, "%s%s", i == 0 ? "" : i == 1 ? ", accepted: " : " ", ring->id[i]);
    }
    LWLockRelease(&locks[kRingLock].lock);
    KeyState state = key_state(text.len > 0 ? text.data : "none", &ring->receipt_fault);
    EvolvingState evolving = evolving_state();
    if (state.advice == nullptr && evolving.exists &&
        (checkpoint_interval == 0 ||
         static_cast<std::uint32_t>(checkpoint_interval) > evolving.length)) {
        state.advice = psprintf(
            "Not every epoch will be sealed: set auditchain.checkpoint_interval "
            "below the %u seconds of an epoch.",
            evolving.length);
    }
    return state;
}

KeyState personal_key_state() {
    ReceiptSecret key;
    SecretName id;
    bool named = personal_key(0, &key) && name_personal_key(key, id);
    erase(key);
    return key_state(named ? pstrdup(id) : "none",
                     has_key_ring() ? &ring->personal_fault : nullptr);
}

void init_key_ring() {
    request_shared_memory(&shared_memory);
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

// reload_keys() → boolean: whether all keys that the settings name could be read.
AUDITCHAIN_FUNCTION(auditchain_reload_keys) {
    if (!has_key_ring()) {
        ereport(ERROR, errcode(ERRCODE_AC_NO_KEY), errmsg("the server has no place for keys"),
                errdetail("auditchain is not preloaded."),
                errhint("Put auditchain into shared_preload_libraries, and restart."));
    }
    bool done = reload_keys();
    // The launcher may have to learn when the key evolves next.
    request_look();
    PG_RETURN_BOOL(done);
}
