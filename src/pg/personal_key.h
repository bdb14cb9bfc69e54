// The keys that personal fields are encrypted with: one or more of each data subject, kept in
// auditchain.subject_key, wrapped by the server's master key.
#pragma once

#include "core/aes.h"
#include "core/digest.h"
#include "pg/backend.h"

extern "C" {
#include <nodes/pg_list.h>
#include <utils/uuid.h>
}

namespace auditchain::pg {

struct SubjectKey {
    pg_uuid_t id;
    char id_text[37];
    AesKey key;
};

// HMAC-SHA256 of a subject's identifier (UTF-8), under a secret of this database that is wrapped as
// the keys are: what stands for the subject where the identifier should not.
Digest subject_pseudonym(std::string_view subject);

// Makes that secret, unless the database has it. Errors where the server has no master key.
void require_pseudonym_secret();

// Copies a key to encrypt with, made if the subject has none, which nobody destroys before the end
// of the transaction. The copy is the caller's to erase_key().
void use_subject_key(std::string_view subject, SubjectKey* out);

// Copies a key to decrypt with, likewise; false if it was destroyed.
bool find_subject_key(const pg_uuid_t& id, SubjectKey* out);

void erase_key(SubjectKey* key);

// Whether it is there, asked without the master key.
bool subject_key_exists(const pg_uuid_t& id);

// Waits for the transactions that use keys of the subject, and lets others wait for this one.
void lock_subject_keys(std::string_view subject);

// Destroys the keys of the subject, which the caller has locked: returns a list of their ids,
// pg_uuid_t, palloc'd. What is encrypted later is encrypted with another key.
List* destroy_subject_keys(std::string_view subject);

// Wraps all keys by the newest master key that are not yet; returns how many that were.
std::int64_t rewrap_subject_keys();

// Called when the library is loaded.
void init_subject_keys();

}  // namespace auditchain::pg
