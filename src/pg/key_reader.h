// The keys of the server out of what their settings name. Nothing here raises an error.
#pragma once

#include "core/ed25519.h"
#include "core/receipt.h"
#include "pg/key_source.h"

namespace auditchain::pg {

// Everything secret.
struct Secrets {
    bool has_seed;
    Ed25519Seed seed;
    int count;  // of plain secrets
    ReceiptSecret receipt[kMaxReceiptSecrets];
    int evolving_line;  // as ReceiptSecrets has it
    EvolvingKey evolving;
    int personal_count;
    ReceiptSecret personal[kMaxReceiptSecrets];  // master keys of personal fields
};

KeySource signing_source();
KeySource receipt_source();
KeySource personal_source();

// Reads a key into its part of `out`, which is the caller's to erase(). True also when the settings
// name none; false, with the fault, when it cannot be read.
bool read_signing_key(const KeySource& source, Secrets* out, KeyFault* fault);

bool read_personal_key(const KeySource& source, Secrets* out, KeyFault* fault);

// The same. An evolving key is brought up to the present epoch, in its file first, and not below
// that of `now`. One caller at a time.
bool read_receipt_key(const KeySource& source, const Secrets& now, Secrets* out, KeyFault* fault);

// What names a secret to users; false when OpenSSL fails.
using SecretName = char[24];
bool name_secret(const ReceiptSecret& secret, SecretName name);
bool name_personal_key(const ReceiptSecret& key, SecretName name);

}  // namespace auditchain::pg
