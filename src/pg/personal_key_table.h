// The table auditchain.subject_key: what stands in it is committed now, or this transaction's
// doing, whatever its isolation level.
#pragma once

#include "pg/personal_key.h"

namespace auditchain::pg {

// Makes a key, wraps it by the newest master key, and stores it; for no subject, the secret of the
// pseudonyms. Errors where the server has no master key.
void make_key(const Digest* subject, SubjectKey* out);

// Reads and unwraps a key of a subject, one by its id, or the secret of the pseudonyms; false where
// there is none. Errors where the server has not got the master key.
bool read_key_of(const Digest& subject, SubjectKey* out);
bool read_key(const pg_uuid_t& id, SubjectKey* out);
bool read_pseudonym_secret(SubjectKey* out);

// Deletes the keys of a subject, and has all sessions told by an invalidation of the table. Returns
// their ids, pg_uuid_t, palloc'd.
List* delete_keys_of(const Digest& subject);

}  // namespace auditchain::pg
