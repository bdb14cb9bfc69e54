// protect_fields(): which columns of a log are personal, and the view that shows them decrypted.

#include "pg/errors.h"
#include "pg/guard.h"
#include "pg/key_ring.h"
#include "pg/operations.h"
#include "pg/personal_fields.h"
#include "pg/personal_key.h"
#include "pg/table_columns.h"

extern "C" {
#include <access/htup_details.h>
#include <access/sysattr.h>
#include <access/table.h>
#include <catalog/partition.h>
#include <commands/defrem.h>
#include <executor/spi.h>
#include <miscadmin.h>
#include <parser/parse_type.h>
#include <storage/lmgr.h>
#include <utils/array.h>
#include <utils/inval.h>
#include <utils/lsyscache.h>
#include <utils/ruleutils.h>
}

namespace auditchain::pg {
namespace {

[[noreturn]] void refuse_field(const Log& log, const char* column, const char* detail,
                               const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("column \"%s\" of log \"%s\" cannot be a personal field", column,
                   get_rel_name(log.relation)),
            errdetail("%s", detail), errhint("%s", hint));
    pg_unreachable();
}

[[noreturn]] void refuse_subject(const Log& log, const char* column, const char* detail,
                                 const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
            errmsg("column \"%s\" of log \"%s\" cannot identify data subjects", column,
                   get_rel_name(log.relation)),
            errdetail("%s", detail), errhint("%s", hint));
    pg_unreachable();
}

// The log, which nobody writes to before the end of the transaction: what is written later is
// encrypted.
const Log& lock_declarable_log(Oid relation) {
    Oid table = require_log(relation).relation;
    require_owner(table);
    LockRelationOid(table, ShareRowExclusiveLock);
    const Log& log = require_log(relation);  // as it is now
    require_owner(table);
    if (log.released) {
        ereport(ERROR, errcode(ERRCODE_AC_NOT_A_LOG),
                errmsg("log \"%s\" is released", get_rel_name(log.relation)),
                errdetail("Entries that come after a release are in no chain."),
                errhint("The view auditchain.logs shows when it was released."));
    }
    if (log.relation == operations_log()) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("the log of operations has no personal fields"),
                errdetail("Its entries prove what was done to all other logs."),
                errhint("Name a log of your own."));
    }
    PreventCommandIfReadOnly("protect_fields()");
    ReceiptSecret newest;
    if (!personal_key(0, &newest)) {
        refuse_without_personal_key("personal fields are encrypted");
    }
    erase(newest);
    return log;
}

const LogColumn& require_subject(const Log& log, const char* name) {
    const LogColumn* column = find_column(log, name);
    AttrNumber attnum = get_attnum(log.relation, name);
    if (column == nullptr || attnum <= 0) {
        refuse_subject(log, name, "It is no column that payloads contain.",
                       "Name the column that says whom an entry is about.");
    }
    Oid type;
    int32 typmod;
    Oid collation;
    get_atttypetypmodcoll(log.relation, attnum, &type, &typmod, &collation);
    if (!can_identify_subjects(type)) {
        refuse_subject(log, name,
                       psprintf("It is of type %s, and is to have one text for each subject.",
                                format_type_be(type)),
                       "Use a column of type text, varchar, smallint, integer, bigint or uuid.");
    }
    if (OidIsValid(collation) && !get_collation_isdeterministic(collation)) {
        refuse_subject(log, name, "By its collation, different texts may be equal.",
                       "Use a column with a deterministic collation.");
    }
    return *column;
}

// The name of what else depends on the values of the column in this table; nullptr: nothing.
const char* find_dependent(Oid table, AttrNumber attnum) {
    Arg args[] = {{OIDOID, ObjectIdGetDatum(table)}, {INT2OID, Int16GetDatum(attnum)}};
    query_catalog(
        "SELECT format('constraint \"%s\"', conname) FROM pg_constraint "
        "WHERE conrelid = $1 AND contype IN ('c', 'p', 'u', 'x', 'f') AND $2 = ANY (conkey) "
        "UNION ALL SELECT format('unique index \"%s\"', c.relname) "
        "FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid "
        "WHERE i.indrelid = $1 AND i.indisunique AND EXISTS (SELECT FROM pg_depend d "
        "  WHERE d.classid = 'pg_class'::regclass AND d.objid = i.indexrelid "
        "  AND d.refclassid = 'pg_class'::regclass AND d.refobjid = $1 AND d.refobjsubid = $2) "
        "ORDER BY 1 LIMIT 1",
        {args[0], args[1]});
    return SPI_processed == 0 ? nullptr
                              : SPI_getvalue(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1);
}

bool is_in_partition_key(Oid table, AttrNumber attnum) {
    Relation relation = table_open(table, NoLock);
    Bitmapset* columns = bms_make_singleton(attnum - FirstLowInvalidHeapAttributeNumber);
    bool in_key = relation->rd_rel->relkind == RELKIND_PARTITIONED_TABLE &&
                  has_partition_attrs(relation, columns, nullptr);
    table_close(relation, NoLock);
    return in_key;
}

void require_independent(const Log& log, List* tables, const char* name) {
    ListCell* cell;
    foreach (cell, tables) {
        Oid table = lfirst_oid(cell);
        AttrNumber attnum = get_attnum(table, name);
        if (is_in_partition_key(table, attnum)) {
            refuse_field(log, name, "It is in the key that the table is partitioned by.",
                         "Partition by another column.");
        }
        if (const char* dependent = find_dependent(table, attnum)) {
            refuse_field(log, name,
                         psprintf("The %s of \"%s\" is about it, and would see encrypted values.",
                                  dependent, get_rel_name(table)),
                         "Drop that first, or choose another column.");
        }
    }
}

void require_field(const Log& log, List* tables, const LogColumn& subject, const char* name) {
    const LogColumn* column = find_column(log, name);
    AttrNumber attnum = get_attnum(log.relation, name);
    if (column == nullptr || attnum <= 0) {
        refuse_field(log, name, "It is auditchain's own.", "Name columns with personal data.");
    }
    if (column == &subject) {
        refuse_field(log, name, "It identifies the data subject, and finds the key.",
                     "Let it be a pseudonym, such as the number of an account.");
    }
    if (std::find(log.chain_by.begin(), log.chain_by.end(), column->member) != log.chain_by.end()) {
        refuse_field(log, name, "Its chains are keyed by it.", "Choose another column.");
    }
    Oid type;
    int32 typmod;
    Oid collation;
    get_atttypetypmodcoll(log.relation, attnum, &type, &typmod, &collation);
    if (!can_be_personal(type) || typmod != -1) {
        refuse_field(log, name,
                     psprintf("It is of type %s, which has no room for an encrypted text.",
                              format_type_with_typemod(type, typmod)),
                     "Personal fields are of type text, varchar without a length, json or jsonb.");
    }
    require_independent(log, tables, name);
}

// The names as members of payloads, in the server's encoding: an array of text.
ArrayType* members_of(const Log& log, List* names) {
    auto* members = static_cast<Datum*>(palloc(sizeof(Datum) * (list_length(names) + 1)));
    ListCell* cell;
    foreach (cell, names) {
        const LogColumn* column = find_column(log, static_cast<const char*>(lfirst(cell)));
        members[foreach_current_index(cell)] = CStringGetTextDatum(member_text(*column));
    }
    return construct_array(members, list_length(names), TEXTOID, -1, false, TYPALIGN_INT);
}

// A hold cannot tell what it matches once the values are encrypted, and would hold all entries.
void require_no_hold_on(const Log& log, ArrayType* members) {
    query_catalog(
        "SELECT hold_id FROM auditchain.legal_hold "
        "WHERE log_id = $1 AND lifted_at IS NULL AND matching ?| $2 ORDER BY 1 LIMIT 1",
        {uuid_arg(log.id), {TEXTARRAYOID, PointerGetDatum(members)}});
    if (SPI_processed == 0) {
        return;
    }
    bool null;
    auto hold = static_cast<long long>(
        DatumGetInt64(SPI_getbinval(SPI_tuptable->vals[0], SPI_tuptable->tupdesc, 1, &null)));
    ereport(ERROR, errcode(ERRCODE_AC_HELD),
            errmsg("hold %lld on log \"%s\" names a column that is to be encrypted", hold,
                   get_rel_name(log.relation)),
            errdetail("A hold cannot tell encrypted values, and would hold all entries."),
            errhint("Place a hold that names the subject, then SELECT "
                    "auditchain.lift_hold(%lld, 'why').",
                    hold));
}

void require_same_subject(const Log& log, const PersonalDeclaration& before,
                          const LogColumn& subject) {
    if (before.subject != nullptr && strcmp(before.subject, member_text(subject)) != 0) {
        refuse_subject(
            log, NameStr(subject.name),
            psprintf("The log's personal fields are of the subjects in \"%s\".", before.subject),
            "A log has one such column, and keeps it.");
    }
}

void store_declaration(const Log& log, const char* subject, ArrayType* fields) {
    const char* actor = current_actor();
    change_catalog(
        "INSERT INTO auditchain.personal_log (log_id, subject, fields, protected_by) "
        "VALUES ($1, $2, $3, $4) ON CONFLICT (log_id) DO UPDATE SET "
        "fields = personal_log.fields || ARRAY(SELECT f FROM unnest(excluded.fields) AS f "
        "  WHERE f <> ALL (personal_log.fields)), "
        "protected_at = excluded.protected_at, protected_by = excluded.protected_by",
        {uuid_arg(log.id),
         text_arg(subject),
         {TEXTARRAYOID, PointerGetDatum(fields)},
         text_arg(actor)});
    record_operation(log.relation, log.id,
                     {"fields_protected", actor, nullptr,
                      jsonb_of("SELECT $1 AS subject, $2 AS fields",
                               {text_arg(subject), {TEXTARRAYOID, PointerGetDatum(fields)}})});
}

const char* collate_clause(Form_pg_attribute column) {
    return OidIsValid(column->attcollation)
               ? psprintf(" COLLATE %s", generate_collation_name(column->attcollation))
               : "";
}

// The columns of the log, in their order; personal ones decrypted.
const char* readable_columns(const Log& log) {
    Relation relation = table_open(log.relation, NoLock);
    PersonalPlan* plan = plan_personal_fields(log, RelationGetDescr(relation));
    StringInfoData sql;
    initStringInfo(&sql);
    for (int i = 0; i < RelationGetDescr(relation)->natts; i++) {
        Form_pg_attribute column = TupleDescAttr(RelationGetDescr(relation), i);
        if (column->attisdropped) {
            continue;
        }
        const char* name = quote_identifier(NameStr(column->attname));
        appendStringInfoString(&sql, sql.len > 0 ? ", " : "");
        auto field = std::find_if(plan->fields.begin(), plan->fields.end(),
                                  [i](const PersonalField& f) { return f.index == i; });
        if (field == plan->fields.end()) {
            appendStringInfo(&sql, "e.%s", name);
            continue;
        }
        Form_pg_attribute subject = TupleDescAttr(RelationGetDescr(relation), plan->subject);
        // With a collation named, those of the arguments are in no conflict.
        appendStringInfo(
            &sql, "auditchain.decrypt_field(%s, e.%s::text COLLATE pg_catalog.\"C\", e.%s)%s AS %s",
            quote_literal_cstr(member_text(*field->column)),
            quote_identifier(NameStr(subject->attname)), name, collate_clause(column), name);
    }
    table_close(relation, NoLock);
    return sql.data;
}

const char* view_name(const Log& log) {
    return makeObjectName(get_rel_name(log.relation), nullptr, "readable");
}

void require_room_for_view(const Log& log, bool first) {
    const char* name = view_name(log);
    Oid schema = get_rel_namespace(log.relation);
    Oid owner = relation_owner(log.relation);
    if (!compat::may_create_in(schema, owner)) {
        const char* schema_name = quote_identifier(get_namespace_name(schema));
        ereport(ERROR, errcode(ERRCODE_AC_UNSUITABLE_TABLE),
                errmsg("the owner of log \"%s\" may not create a view in its schema",
                       get_rel_name(log.relation)),
                errdetail("The view \"%s\", which decrypts personal fields, is to be there.", name),
                errhint("GRANT CREATE ON SCHEMA %s TO %s", schema_name,
                        quote_identifier(GetUserNameFromId(owner, false))));
    }
    if (first && OidIsValid(get_relname_relid(name, schema))) {
        ereport(ERROR, errcode(ERRCODE_AC_UNSUITABLE_TABLE),
                errmsg("there is a relation \"%s\" already", name),
                errdetail("The view that decrypts personal fields is to have this name."),
                errhint("Rename or drop it."));
    }
}

// LOG_readable, in the log's schema and of its owner's. Who reads it needs rights on the log, too.
void make_view(const Log& log) {
    const char* name = view_name(log);
    Oid schema = get_rel_namespace(log.relation);
    const char* view = quote_qualified_identifier(get_namespace_name(schema), name);
    const char* columns = readable_columns(log);
    Oid user;
    int security_context;
    GetUserIdAndSecContext(&user, &security_context);
    SetUserIdAndSecContext(relation_owner(log.relation),
                           security_context | SECURITY_LOCAL_USERID_CHANGE);
    SPI_execute(psprintf("CREATE OR REPLACE VIEW %s WITH (security_invoker = true) AS "
                         "SELECT %s FROM %s AS e",
                         view, columns, qualified_name(log.relation)),
                false, 0);
    SPI_execute(
        psprintf("COMMENT ON VIEW %s IS %s", view,
                 quote_literal_cstr(psprintf("The log \"%s\" with personal fields decrypted",
                                             get_rel_name(log.relation)))),
        false, 0);
    SetUserIdAndSecContext(user, security_context);
}

void protect_fields(Oid relation, const char* subject_name, ArrayType* field_names) {
    const Log& log = lock_declarable_log(relation);
    List* tables = log_tables(log.relation, ShareRowExclusiveLock);
    SPI_connect();
    const LogColumn& subject = require_subject(log, subject_name);
    PersonalDeclaration before = read_declaration(log);
    require_same_subject(log, before, subject);
    require_room_for_view(log, before.subject == nullptr);
    List* names = require_columns(log.relation, field_names, "fields");
    ListCell* cell;
    foreach (cell, names) {
        require_field(log, tables, subject, static_cast<const char*>(lfirst(cell)));
    }
    if (names == NIL && before.subject == nullptr) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("fields is empty"),
                errhint("Name the columns with personal data."));
    }
    ArrayType* members = members_of(log, names);
    require_no_hold_on(log, members);
    require_pseudonym_secret();
    store_declaration(log, member_text(subject), members);
    make_view(log);
    foreach (cell, tables) {
        CacheInvalidateRelcacheByRelid(lfirst_oid(cell));
    }
    SPI_finish();
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// protect_fields(log regclass, subject name, fields name[])
AUDITCHAIN_FUNCTION(auditchain_protect_fields) {
    protect_fields(PG_GETARG_OID(0), NameStr(*PG_GETARG_NAME(1)), PG_GETARG_ARRAYTYPE_P(2));
    PG_RETURN_VOID();
}
