// Every difference between the supported PostgreSQL versions (15 to 18), and nothing else.
#pragma once

#if PG_VERSION_NUM < 150000
#error "auditchain needs PostgreSQL 15 or newer"
#endif

extern "C" {
#include <access/genam.h>
#include <catalog/pg_class.h>
#include <catalog/pg_database.h>
#include <catalog/pg_namespace.h>
#include <executor/executor.h>
#include <storage/proc.h>
#include <utils/acl.h>
#include <utils/wait_event.h>
#if PG_VERSION_NUM >= 160000
#include <varatt.h>
#endif
}

// PGDLLEXPORT is empty on Unix before 16, where -fvisibility=hidden would then hide everything.
#define AUDITCHAIN_EXPORT __attribute__((visibility("default")))
#if PG_VERSION_NUM < 160000
#undef PGDLLEXPORT
#define PGDLLEXPORT AUDITCHAIN_EXPORT
#endif

namespace auditchain::pg::compat {

inline IndexScanDesc index_beginscan(Relation heap, Relation index, Snapshot snapshot, int nkeys) {
#if PG_VERSION_NUM >= 180000
    return ::index_beginscan(heap, index, snapshot, nullptr, nkeys, 0);
#else
    return ::index_beginscan(heap, index, snapshot, nkeys, 0);
#endif
}

// Runs a query for `count` more rows.
inline void executor_run(QueryDesc* query, uint64 count) {
#if PG_VERSION_NUM >= 180000
    ::ExecutorRun(query, ForwardScanDirection, count);
#else
    ::ExecutorRun(query, ForwardScanDirection, count, false);
#endif
}

inline bool owns_database(Oid database, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(DatabaseRelationId, database, role);
#else
    return pg_database_ownercheck(database, role);
#endif
}

// A wait event of this name; all extensions share one before 17.
inline std::uint32_t wait_event([[maybe_unused]] const char* name) {
#if PG_VERSION_NUM >= 170000
    return WaitEventExtensionNew(name);
#else
    return PG_WAIT_EXTENSION;
#endif
}

inline constexpr bool kHasTransactionTimeout = PG_VERSION_NUM >= 170000;

// The local number of a backend's transaction, read without a lock; 0 when it is in none.
inline LocalTransactionId local_transaction(const PGPROC* backend) {
#if PG_VERSION_NUM >= 170000
    return *const_cast<const volatile LocalTransactionId*>(&backend->vxid.lxid);
#else
    return *const_cast<const volatile LocalTransactionId*>(&backend->lxid);
#endif
}

inline bool owns_relation(Oid relation, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_ownercheck(RelationRelationId, relation, role);
#else
    return pg_class_ownercheck(relation, role);
#endif
}

inline bool may_create_in(Oid schema, Oid role) {
#if PG_VERSION_NUM >= 160000
    return object_aclcheck(NamespaceRelationId, schema, role, ACL_CREATE) == ACLCHECK_OK;
#else
    return pg_namespace_aclcheck(schema, role, ACL_CREATE) == ACLCHECK_OK;
#endif
}

}  // namespace auditchain::pg::compat
