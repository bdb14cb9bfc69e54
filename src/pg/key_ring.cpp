#include "pg/key_ring.h"

#include "core/malformed.h"
#include "pg/errors.h"
#include "pg/settings.h"

extern "C" {
#include <miscadmin.h>
#include <port/atomics.h>
#include <storage/ipc.h>
#include <storage/lwlock.h>
#include <storage/shmem.h>
#include <sys/mman.h>
#include <unistd.h>
}

namespace auditchain::pg {
namespace {

// Everything secret, on pages of its own that core dumps leave out.
struct Secrets {
    bool has_seed;
    Ed25519Seed seed;
    int count;
    ReceiptSecret receipt[kMaxReceiptSecrets];
};

struct KeyRing {
    pg_atomic_uint64 generation;
    KeyFault signing_fault;  // of the newest attempt to read it; no detail: none
    KeyFault receipt_fault;
    int ids;
    char id[kMaxReceiptSecrets][9];  // of the receipt secrets
    Secrets* secrets;
};

enum KeyLock { kRingLock, kReloadLock, kKeyLocks };

KeyRing* ring = nullptr;
LWLockPadded* locks = nullptr;

shmem_request_hook_type previous_request_hook = nullptr;
shmem_startup_hook_type previous_startup_hook = nullptr;

KeySource signing_source() {
    return {"signing key",
            "auditchain.signing_key_file",
            "auditchain.signing_key_command",
            "This makes a key: openssl genpkey -algorithm ed25519 -out FILE",
            signing_key_file,
            signing_key_command};
}

KeySource receipt_source() {
    return {"receipt key",
            "auditchain.receipt_key_file",
            "auditchain.receipt_key_command",
            "This makes a key: (umask 077; openssl rand -hex 32 > FILE)",
            receipt_key_file,
            receipt_key_command};
}

// Runs what reads a key out of a text, and turns what it throws into a fault.
template <typename Parse>
bool parse_key(const KeySource& source, KeyFault* fault, Parse parse) noexcept {
    try {
        parse();
        return true;
    } catch (const Malformed& error) {
        set_fault(fault, source.how_to_make, "%s is malformed: %s.",
                  source.file[0] != '\0' ? "The file" : "What the command writes", error.what());
    } catch (const std::exception& error) {
        set_fault(fault, "Look at the OpenSSL that the server uses.", "%s.", error.what());
    }
    return false;
}

bool parse_signing_key(const KeySource& source, std::string_view pem, Secrets* out,
                       KeyFault* fault) {
    return parse_key(source, fault, [&] {
        Ed25519PrivateKey::from_pem(pem).seed(&out->seed);
        out->has_seed = true;
    });
}

bool parse_receipt_key(const KeySource& source, std::string_view text, Secrets* out,
                       KeyFault* fault) {
    return parse_key(source, fault, [&] {
        ReceiptSecrets secrets;
        parse_receipt_secrets(text, &secrets);
        std::copy_n(secrets.secrets.begin(), secrets.count, out->receipt);
        out->count = static_cast<int>(secrets.count);
    });
}

using ParseKey = bool (*)(const KeySource& source, std::string_view text, Secrets* out,
                          KeyFault* fault);

// True when the settings name a key that was read, or none.
bool read_key(const KeySource& source, ParseKey parse, Secrets* out, KeyFault* fault) {
    fault->detail[0] = '\0';
    if (!is_set(source)) {
        return true;
    }
    KeyText text;
    bool done = read_key_text(source, &text, fault) && parse(source, text, out, fault);
    erase_key_text(&text);
    return done;
}

void name_secrets(const Secrets& secrets) {
    ring->ids = 0;
    for (int i = 0; i < secrets.count; i++) {
        KeyFault fault;
        parse_key(receipt_source(), &fault, [&] {
            Sha256 sha256;
            strlcpy(ring->id[i], receipt_key_id(sha256, secrets.receipt[i]).c_str(),
                    sizeof ring->id[i]);
            ring->ids = i + 1;
        });
    }
}

void warn(const KeySource& source, const KeyFault& fault, bool kept) {
    ereport(WARNING, errcode(ERRCODE_AC_NO_KEY),
            errmsg(kept ? "auditchain cannot read its %s, and keeps the one in use"
                        : "auditchain cannot read its %s",
                   source.key),
            errdetail("%s", fault.detail), errhint("%s", fault.hint));
}

// Reads both keys and puts into the ring what could be read. Raises no error.
bool read_keys() {
    KeySource signing = signing_source();
    KeySource receipt = receipt_source();
    Secrets next = {};
    KeyFault signing_fault = {};
    KeyFault receipt_fault = {};
    bool signing_done = read_key(signing, parse_signing_key, &next, &signing_fault);
    bool receipt_done = read_key(receipt, parse_receipt_key, &next, &receipt_fault);

    LWLockAcquire(&locks[kRingLock].lock, LW_EXCLUSIVE);
    Secrets* secrets = ring->secrets;
    if (signing_done) {
        secrets->has_seed = next.has_seed;
        secrets->seed = next.seed;
    }
    if (receipt_done) {
        secrets->count = next.count;
        std::copy(std::begin(next.receipt), std::end(next.receipt), secrets->receipt);
        name_secrets(next);
    }
    ring->signing_fault = signing_fault;
    ring->receipt_fault = receipt_fault;
    bool signing_kept = secrets->has_seed;
    bool receipt_kept = secrets->count > 0;
    pg_atomic_fetch_add_u64(&ring->generation, 1);
    LWLockRelease(&locks[kRingLock].lock);
    erase({reinterpret_cast<std::uint8_t*>(&next), sizeof next});

    if (!signing_done) {
        warn(signing, signing_fault, signing_kept);
    }
    if (!receipt_done) {
        warn(receipt, receipt_fault, receipt_kept);
    }
    return signing_done && receipt_done;
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

void request_shared_memory() {
    if (previous_request_hook != nullptr) {
        previous_request_hook();
    }
    RequestAddinShmemSpace(ring_size());
    RequestNamedLWLockTranche("auditchain_keys", kKeyLocks);
}

void make_ring() {
    memset(static_cast<void*>(ring), 0, ring_size());
    pg_atomic_init_u64(&ring->generation, 0);
    ring->secrets = reinterpret_cast<Secrets*>(TYPEALIGN(page_size(), ring + 1));
    // Where the kernel does not let us, as with huge pages, core dumps have to be kept safe.
    madvise(ring->secrets, secrets_size(), MADV_DONTDUMP);
}

void attach_shared_memory() {
    if (previous_startup_hook != nullptr) {
        previous_startup_hook();
    }
    LWLockAcquire(AddinShmemInitLock, LW_EXCLUSIVE);
    bool found;
    ring = static_cast<KeyRing*>(ShmemInitStruct("auditchain keys", ring_size(), &found));
    locks = GetNamedLWLockTranche("auditchain_keys");
    if (!found) {
        make_ring();
    }
    LWLockRelease(AddinShmemInitLock);
    if (!found) {
        read_keys();
    }
}

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

void refuse_without_receipt_key(const char* what) {
    refuse_without_key(psprintf("%s, and the server has no receipt key", what), receipt_source(),
                       has_key_ring() ? copy_fault(&ring->receipt_fault) : nullptr);
}

bool reload_keys() {
    if (!has_key_ring()) {
        return false;
    }
    // One at a time, so that who reads last stores last.
    LWLockAcquire(&locks[kReloadLock].lock, LW_EXCLUSIVE);
    bool done = read_keys();
    LWLockRelease(&locks[kReloadLock].lock);
    return done;
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
    return key_state(text.len > 0 ? text.data : "none", &ring->receipt_fault);
}

void init_key_ring() {
    previous_request_hook = shmem_request_hook;
    shmem_request_hook = request_shared_memory;
    previous_startup_hook = shmem_startup_hook;
    shmem_startup_hook = attach_shared_memory;
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
    PG_RETURN_BOOL(reload_keys());
}
