// Access to auditchain's own tables (sql/catalog.sql).
#pragma once

#include "pg/backend.h"

extern "C" {
#include <catalog/pg_type_d.h>
#include <utils/uuid.h>
}

namespace auditchain::pg {

inline constexpr int kFormat = 1;  // of payloads and checksums: docs/format.md

// A table, index or sequence of the catalog by name; errors where it is missing.
Oid catalog_object(const char* name);

struct Arg {
    Oid type;
    Datum value;
    bool null = false;
};

inline Arg uuid_arg(const pg_uuid_t& id) {
    return {UUIDOID, UUIDPGetDatum(&id)};
}
inline Arg text_arg(const char* text) {
    return text ? Arg{TEXTOID, CStringGetTextDatum(text)} : Arg{TEXTOID, 0, true};
}

// Runs one statement on the catalog as its owner, seeing all that is committed whatever the
// transaction's isolation level. Results are in SPI_processed and SPI_tuptable: the caller has SPI
// connected, and checks the user's rights before.
void query_catalog(const char* sql, std::initializer_list<Arg> args);
void change_catalog(const char* sql, std::initializer_list<Arg> args);

// The same in the active snapshot: for what stands beside entries that are read in it, as
// checkpoints and archives do. What others add meanwhile would be of entries that it does not see,
// and what they archive is for it still in the log.
void query_catalog_as_seen(const char* sql, std::initializer_list<Arg> args);

// Whether the active snapshot sees the log at all: an older one does not see its chains either.
bool log_is_visible(const pg_uuid_t& log);

// What tells this database from every other, and from one restored from its dump: the cluster's
// system identifier and the database's OID; palloc'd.
const char* this_database();

// The session user, and the role it acts as where that is another; palloc'd.
const char* current_actor();

// Records what was done to a log as a whole, and by whom.
void record_log_event(const pg_uuid_t& log, const char* event, const char* detail);

struct FoundChain {
    std::int32_t chain_id;  // 0: there is none
    bool committed;         // not begun by this transaction itself
    Oid table;              // auditchain.chain
};

// Finds the chain of this log, key (UTF-8) and lane. Sees what is committed now.
FoundChain find_chain(const pg_uuid_t& log, std::string_view key, int lane);

// Registers a new chain and returns its number. The caller holds the lock of (log, key, lane).
std::int32_t add_chain(const pg_uuid_t& log, std::string_view key, int lane);

// Registers a chain under a number that it has elsewhere, past which new numbers go on.
void add_given_chain(const pg_uuid_t& log, std::string_view key, int lane, std::int32_t chain_id);

struct ChainName {
    pg_uuid_t log;
    char* key;  // canonical JSON array, UTF-8
    int lane;
};

// Reads what a chain number stands for; false when there is no such chain.
bool find_chain_name(std::int32_t chain_id, ChainName* name);

// The same, and false when it is a chain of another log.
bool find_log_chain(const pg_uuid_t& log, std::int32_t chain_id, ChainName* name);

}  // namespace auditchain::pg
