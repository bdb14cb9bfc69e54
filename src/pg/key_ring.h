// The keys of the server in shared memory, where the library is in shared_preload_libraries: read
// at server start and by reload_keys(), from the files or commands that the settings name.
#pragma once

#include "core/ed25519.h"
#include "core/receipt.h"
#include "pg/key_source.h"

extern "C" {
#include <datatype/timestamp.h>
}

namespace auditchain::pg {

// Whether there is a key ring: false without shared_preload_libraries.
bool has_key_ring();

// Copies the key that signs checkpoints; false when there is none. The copy is the caller's to
// erase().
bool signing_key(Ed25519Seed* seed);

// The same, with an error that says what is missing.
void require_signing_key(Ed25519Seed* seed);

// Grows with each change of the keys, at the price of a read from memory; 0 without a key ring.
std::uint64_t key_generation();

// Copies the plain receipt secret of this number, the newest being 0; false when there is none. The
// copy is the caller's to erase().
bool receipt_secret(int number, ReceiptSecret* secret);
int receipt_secret_count();

// What is not secret of the evolving key.
struct EvolvingState {
    bool exists;
    bool in_use;  // receipts are made with it; else it is retired
    std::uint32_t epoch;
    std::uint32_t length;  // of an epoch, in seconds
    std::uint64_t end;     // of this epoch, in seconds since 1970
};
EvolvingState evolving_state();

// Copies the evolving key of this moment, with its epoch; false when there is none. The copy is the
// caller's to erase(), and no later than its transaction ends.
bool evolving_secret(std::uint32_t* epoch, ReceiptSecret* secret);

// Replaces the evolving key if its epoch is over: in its file first, then in shared memory. Returns
// when to call it again; DT_NOEND: there is no evolving key.
TimestampTz evolve_keys();

bool has_receipt_key();

// Raises the error that the server has no receipt key, which `what` is impossible without: "log
// \"events\" has receipts".
[[noreturn]] void refuse_without_receipt_key(const char* what);

// Copies the master key of personal fields of this number, the newest being 0; false when there is
// none. The copy is the caller's to erase().
bool personal_key(int number, ReceiptSecret* key);

// Raises the error that the server has no such key.
[[noreturn]] void refuse_without_personal_key(const char* what);

// Reads the keys anew and returns whether all that the settings name could be read. A key that
// could not stays as it was, and a WARNING says why. For a background worker to call on SIGHUP,
// behind ProcessConfigFile().
bool reload_keys();

// What status() tells of a key.
struct KeyState {
    const char* value;   // "none", "loaded", ids
    const char* advice;  // nullptr: nothing is wrong
};

KeyState signing_key_state();
KeyState receipt_key_state();
KeyState personal_key_state();

// Reserves the shared memory; called while shared_preload_libraries are loaded.
void init_key_ring();

}  // namespace auditchain::pg
