#include "pg/guard.h"

#include "pg/errors.h"

extern "C" {
#include <access/table.h>
#include <catalog/pg_inherits.h>
#include <catalog/pg_trigger.h>
#include <commands/trigger.h>
#include <executor/spi.h>
#include <utils/lsyscache.h>

AUDITCHAIN_EXPORT Datum auditchain_chain_entry(PG_FUNCTION_ARGS);
AUDITCHAIN_EXPORT Datum auditchain_refuse_change(PG_FUNCTION_ARGS);
}

namespace auditchain::pg {
namespace {

struct GuardTrigger {
    const char* name;
    std::int16_t type;
    PGFunction function;
    const char* definition;  // with the table for %s
};

constexpr GuardTrigger kGuardTriggers[] = {
    {kChainTrigger, TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT,
     auditchain_chain_entry,
     "CREATE TRIGGER zz_auditchain_chain BEFORE INSERT ON %s "
     "FOR EACH ROW EXECUTE FUNCTION auditchain._chain_entry()"},
    // Row triggers pass to partitions made later, and fire where a replica applies changes.
    {"auditchain_guard_row",
     TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE,
     auditchain_refuse_change,
     "CREATE TRIGGER auditchain_guard_row BEFORE UPDATE OR DELETE ON %s "
     "FOR EACH ROW EXECUTE FUNCTION auditchain._refuse_change()"},
    // Statement triggers fire even when no row matches, and for TRUNCATE.
    {"auditchain_guard_statement",
     TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE | TRIGGER_TYPE_TRUNCATE,
     auditchain_refuse_change,
     "CREATE TRIGGER auditchain_guard_statement BEFORE UPDATE OR DELETE OR TRUNCATE ON %s "
     "FOR EACH STATEMENT EXECUTE FUNCTION auditchain._refuse_change()"},
};

// A cold table takes nothing from anybody: cold_table.cpp writes below the triggers.
constexpr GuardTrigger kArchiveTriggers[] = {
    {"auditchain_guard_row",
     TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE |
         TRIGGER_TYPE_DELETE,
     auditchain_refuse_change,
     "CREATE TRIGGER auditchain_guard_row BEFORE INSERT OR UPDATE OR DELETE ON %s "
     "FOR EACH ROW EXECUTE FUNCTION auditchain._refuse_change()"},
    {"auditchain_guard_statement",
     TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT | TRIGGER_TYPE_UPDATE | TRIGGER_TYPE_DELETE |
         TRIGGER_TYPE_TRUNCATE,
     auditchain_refuse_change,
     "CREATE TRIGGER auditchain_guard_statement BEFORE INSERT OR UPDATE OR DELETE OR TRUNCATE "
     "ON %s FOR EACH STATEMENT EXECUTE FUNCTION auditchain._refuse_change()"},
};

const Trigger* find_trigger(Relation table, const char* name) {
    if (table->trigdesc == nullptr) {
        return nullptr;
    }
    std::span<const Trigger> triggers = {table->trigdesc->triggers,
                                         static_cast<std::size_t>(table->trigdesc->numtriggers)};
    auto found = std::find_if(triggers.begin(), triggers.end(),
                              [name](const Trigger& t) { return strcmp(t.tgname, name) == 0; });
    return found == triggers.end() ? nullptr : &*found;
}

// Whether the trigger really calls our code: somebody may have replaced the SQL function.
bool calls(const Trigger& trigger, PGFunction function) {
    FmgrInfo info;
    fmgr_info(trigger.tgfoid, &info);
    return info.fn_addr == function;
}

const char* trigger_fault(Relation table, const GuardTrigger& wanted) {
    const Trigger* trigger = find_trigger(table, wanted.name);
    if (trigger == nullptr) {
        return "is missing";
    }
    if (trigger->tgenabled == TRIGGER_DISABLED) {
        return "is disabled";
    }
    if (trigger->tgenabled != TRIGGER_FIRES_ALWAYS) {
        return "is not ENABLE ALWAYS";
    }
    bool same = trigger->tgtype == wanted.type && trigger->tgqual == nullptr &&
                trigger->tgnattr == 0 && calls(*trigger, wanted.function);
    return same ? nullptr : "is not auditchain's";
}

void describe_trigger_faults(Relation table, std::span<const GuardTrigger> triggers,
                             StringInfo faults) {
    for (const GuardTrigger& wanted : triggers) {
        if (const char* fault = trigger_fault(table, wanted)) {
            appendStringInfo(faults, "%strigger %s on %s %s", faults->len > 0 ? "; " : "",
                             wanted.name, qualified_name(RelationGetRelid(table)), fault);
        }
    }
}

void describe_faults(Relation table, StringInfo faults) {
    const char* name = qualified_name(RelationGetRelid(table));
    auto separator = [faults] { return faults->len > 0 ? "; " : ""; };
    describe_trigger_faults(table, kGuardTriggers, faults);
    if (const char* later = later_insert_trigger(table)) {
        appendStringInfo(faults, "%strigger %s on %s runs after %s", separator(),
                         quote_identifier(later), name, kChainTrigger);
    }
    if (table->rd_rel->relkind == RELKIND_RELATION && !has_position_index(table)) {
        appendStringInfo(faults, "%sthe index on (chain_id, chain_position) of %s is missing",
                         separator(), name);
    }
}

void execute_ddl(const char* statement) {
    SPI_execute(statement, false, 0);
}

void install_triggers(Oid table, std::span<const GuardTrigger> triggers) {
    const char* name = qualified_name(table);
    for (const GuardTrigger& wanted : triggers) {
        Relation relation = table_open(table, AccessShareLock);
        bool present = find_trigger(relation, wanted.name) != nullptr;
        table_close(relation, NoLock);
        if (!present) {
            execute_ddl(psprintf(wanted.definition, name));
            execute_ddl(psprintf("ALTER TABLE %s ENABLE ALWAYS TRIGGER %s", name, wanted.name));
        }
    }
}

}  // namespace

List* log_tables(Oid root, LOCKMODE lock) {
    return get_rel_relkind(root) == RELKIND_PARTITIONED_TABLE
               ? find_all_inheritors(root, lock, nullptr)
               : list_make1_oid(root);
}

void install_guard(Oid table) {
    install_triggers(table, kGuardTriggers);
}

void install_archive_guard(Oid table) {
    install_triggers(table, kArchiveTriggers);
}

char* archive_guard_state(Oid table) {
    StringInfoData faults;
    initStringInfo(&faults);
    Relation relation = table_open(table, AccessShareLock);
    describe_trigger_faults(relation, kArchiveTriggers, &faults);
    table_close(relation, NoLock);
    return faults.len > 0 ? faults.data : nullptr;
}

void remove_guard(Oid table) {
    for (const GuardTrigger& wanted : kGuardTriggers) {
        Relation relation = table_open(table, AccessShareLock);
        const Trigger* trigger = find_trigger(relation, wanted.name);
        // A row trigger of a partition goes with that of its parent.
        bool drop = trigger != nullptr && !trigger->tgisclone;
        table_close(relation, NoLock);
        if (drop) {
            execute_ddl(psprintf("DROP TRIGGER %s ON %s", wanted.name, qualified_name(table)));
        }
    }
}

char* guard_state(const Log& log) {
    StringInfoData faults;
    initStringInfo(&faults);
    ListCell* cell;
    foreach (cell, log_tables(log.relation, AccessShareLock)) {
        Relation table = table_open(lfirst_oid(cell), AccessShareLock);
        describe_faults(table, &faults);
        table_close(table, NoLock);
    }
    if (const char* idle = idle_event_trigger()) {
        appendStringInfo(&faults, "%sevent trigger %s is missing or not ENABLE ALWAYS",
                         faults.len > 0 ? "; " : "", idle);
    }
    return faults.len > 0 ? faults.data : nullptr;
}

const char* later_insert_trigger(Relation table) {
    if (table->trigdesc == nullptr) {
        return nullptr;
    }
    for (int i = 0; i < table->trigdesc->numtriggers; i++) {
        const Trigger& trigger = table->trigdesc->triggers[i];
        constexpr int kRowBeforeInsert =
            TRIGGER_TYPE_ROW | TRIGGER_TYPE_BEFORE | TRIGGER_TYPE_INSERT;
        if ((trigger.tgtype & kRowBeforeInsert) == kRowBeforeInsert &&
            trigger.tgenabled != TRIGGER_DISABLED && strcmp(trigger.tgname, kChainTrigger) > 0) {
            return pstrdup(trigger.tgname);
        }
    }
    return nullptr;
}

void require_chain_trigger_last(Relation table) {
    const char* later = later_insert_trigger(table);
    if (later == nullptr) {
        return;
    }
    ereport(ERROR, errcode(ERRCODE_AC_TRIGGER_ORDER),
            errmsg("trigger \"%s\" on \"%s\" would run after auditchain's", later,
                   RelationGetRelationName(table)),
            errdetail("BEFORE ROW triggers fire in the order of their names, and what runs "
                      "after %s could change a row that is already hashed.",
                      kChainTrigger),
            errhint("Give the trigger a name that sorts before %s.", kChainTrigger));
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

namespace {

const char* refused_command(TriggerEvent event) {
    return TRIGGER_FIRED_BY_INSERT(event)   ? "INSERT"
           : TRIGGER_FIRED_BY_UPDATE(event) ? "UPDATE"
           : TRIGGER_FIRED_BY_DELETE(event) ? "DELETE"
                                            : "TRUNCATE";
}

}  // namespace

// Trigger: refuses UPDATE, DELETE and TRUNCATE; on a cold table INSERT, too.
AUDITCHAIN_FUNCTION(auditchain_refuse_change) {
    if (!CALLED_AS_TRIGGER(fcinfo)) {
        ereport(ERROR, errcode(ERRCODE_E_R_I_E_TRIGGER_PROTOCOL_VIOLATED),
                errmsg("auditchain._refuse_change() is a trigger function"));
    }
    auto* trigger = reinterpret_cast<TriggerData*>(fcinfo->context);
    Oid table = RelationGetRelid(trigger->tg_relation);
    Oid log = partition_root(table);
    if (is_archive_table(table)) {
        ereport(ERROR, errcode(ERRCODE_AC_APPEND_ONLY),
                errmsg("%s refused: %s has archived entries of a log",
                       refused_command(trigger->tg_event), qualified_name(table)),
                errdetail("It is written by auditchain.archive() and auditchain.expire() only."),
                errhint("The view auditchain.archives shows of which log."));
    }
    ereport(ERROR, errcode(ERRCODE_AC_APPEND_ONLY),
            errmsg("%s refused: log \"%s\" is append-only", refused_command(trigger->tg_event),
                   get_rel_name(log)),
            errdetail("%s is protected by auditchain: each entry is chained to the one before it.",
                      qualified_name(table)),
            errhint("Correct an entry by inserting another. "
                    "SELECT auditchain.release('%s', 'reason') ends protection.",
                    qualified_name(log)));
}

// _guard(log) → text: "on", "released", or what is wrong with the guard.
AUDITCHAIN_FUNCTION(auditchain_guard) {
    const Log& log = require_log(PG_GETARG_OID(0));
    const char* state = log.released ? "released" : guard_state(log);
    PG_RETURN_TEXT_P(cstring_to_text(state != nullptr ? state : "on"));
}
