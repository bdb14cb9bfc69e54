#include "pg/database_ddl.h"

#include "pg/sealer_slots.h"

extern "C" {
#include <access/htup_details.h>
#include <commands/dbcommands.h>
#include <commands/defrem.h>
#include <miscadmin.h>
#include <nodes/parsenodes.h>
#include <storage/latch.h>
#include <storage/lmgr.h>
#include <tcop/utility.h>
#include <utils/syscache.h>
#include <utils/timestamp.h>
}

namespace auditchain::pg {
namespace {

// As long as PostgreSQL waits for others to leave the database.
constexpr int kWaitMilliseconds = 5000;

ProcessUtility_hook_type previous_hook = nullptr;

// A database that a command wants for itself, and the lock that the command takes.
struct Wanted {
    const char* name;  // nullptr: the command wants none
    LOCKMODE lock;
};

const DefElem* find_option(List* options, const char* name) {
    ListCell* cell;
    foreach (cell, options) {
        const auto* option = lfirst_node(DefElem, cell);
        if (strcmp(option->defname, name) == 0) {
            return option;
        }
    }
    return nullptr;
}

const char* template_of(const CreatedbStmt* statement) {
    const DefElem* option = find_option(statement->options, "template");
    return option != nullptr && option->arg != nullptr ? defGetString(const_cast<DefElem*>(option))
                                                       : "template1";
}

Wanted wanted_database(Node* statement) {
    switch (nodeTag(statement)) {
        case T_DropdbStmt:
            return {reinterpret_cast<DropdbStmt*>(statement)->dbname, AccessExclusiveLock};
        case T_CreatedbStmt:
            return {template_of(reinterpret_cast<CreatedbStmt*>(statement)), ShareLock};
        case T_RenameStmt: {
            auto* rename = reinterpret_cast<RenameStmt*>(statement);
            return {rename->renameType == OBJECT_DATABASE ? rename->subname : nullptr,
                    AccessExclusiveLock};
        }
        case T_AlterDatabaseStmt: {
            auto* alter = reinterpret_cast<AlterDatabaseStmt*>(statement);
            return {find_option(alter->options, "tablespace") ? alter->dbname : nullptr,
                    AccessExclusiveLock};
        }
        default:
            return {nullptr, NoLock};
    }
}

bool is_template(Oid database) {
    HeapTuple tuple = SearchSysCache1(DATABASEOID, ObjectIdGetDatum(database));
    if (!HeapTupleIsValid(tuple)) {
        return false;
    }
    bool result = reinterpret_cast<Form_pg_database>(GETSTRUCT(tuple))->datistemplate;
    ReleaseSysCache(tuple);
    return result;
}

// Whoever may not run the command must not stop the sealing with it.
bool is_allowed(Oid database, LOCKMODE lock) {
    if (lock == ShareLock) {
        return have_createdb_privilege() &&
               (is_template(database) || compat::owns_database(database, GetUserId()));
    }
    return compat::owns_database(database, GetUserId());
}

// The lock keeps others out until the transaction ends: a sealer that starts meanwhile waits for
// it.
void clear_database(const Wanted& wanted) {
    Oid database = get_database_oid(wanted.name, true);
    if (!OidIsValid(database) || !is_allowed(database, wanted.lock)) {
        return;
    }
    LockSharedObject(DatabaseRelationId, database, 0, wanted.lock);
    static const std::uint32_t event = compat::wait_event("AuditchainSealerLeave");
    TimestampTz end = TimestampTzPlusMilliseconds(GetCurrentTimestamp(), kWaitMilliseconds);
    while (ask_sealer_to_leave(database) && GetCurrentTimestamp() < end) {
        WaitLatch(MyLatch, WL_LATCH_SET | WL_TIMEOUT | WL_EXIT_ON_PM_DEATH, 10, event);
        ResetLatch(MyLatch);
        CHECK_FOR_INTERRUPTS();
    }
}

void process_utility(PlannedStmt* statement, const char* text, bool read_only,
                     ProcessUtilityContext context, ParamListInfo parameters,
                     QueryEnvironment* environment, DestReceiver* receiver,
                     QueryCompletion* completion) {
    Wanted wanted = wanted_database(statement->utilityStmt);
    if (wanted.name != nullptr) {
        clear_database(wanted);
    }
    (previous_hook != nullptr ? previous_hook : standard_ProcessUtility)(
        statement, text, read_only, context, parameters, environment, receiver, completion);
}

}  // namespace

void init_database_ddl() {
    previous_hook = ProcessUtility_hook;
    ProcessUtility_hook = process_utility;
}

}  // namespace auditchain::pg
