#include "pg/personal_fields.h"

#include "core/malformed.h"
#include "core/personal_field.h"
#include "pg/barrier.h"
#include "pg/personal_key.h"

extern "C" {
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <utils/array.h>
#include <utils/fmgrprotos.h>
#include <utils/json.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

std::string_view to_utf8(const char* text, std::size_t size) {
    auto length = static_cast<int>(size);
    const char* utf8 = pg_server_to_any(text, length, PG_UTF8);
    return {utf8, utf8 == text ? size : strlen(utf8)};
}

std::string_view to_utf8(const char* text) {
    return to_utf8(text, strlen(text));
}

const char* from_utf8(const char* utf8, std::size_t size) {
    return pg_any_to_server(utf8, static_cast<int>(size), PG_UTF8);
}

std::string_view text_of(Datum value) {
    text* packed = DatumGetTextPP(value);
    return {VARDATA_ANY(packed), static_cast<std::size_t>(VARSIZE_ANY_EXHDR(packed))};
}

// The text that a value would be encrypted as, in the server's encoding.
std::string_view plain_text(Oid type, Datum value) {
    if (type != JSONBOID) {
        return text_of(value);
    }
    Jsonb* jsonb = DatumGetJsonbP(value);
    const char* text = JsonbToCString(nullptr, &jsonb->root, VARSIZE_ANY_EXHDR(jsonb));
    return {text};
}

// A value of the type that is this text; the text of JSON's types is a string there, which needs no
// escapes.
Datum token_value(Oid type, const char* token, std::size_t size) {
    if (type == JSONBOID) {
        JsonbValue value = {};
        value.type = jbvString;
        value.val.string.val = const_cast<char*>(token);
        value.val.string.len = static_cast<int>(size);
        return JsonbPGetDatum(JsonbValueToJsonb(&value));
    }
    if (type == JSONOID) {
        return CStringGetTextDatum(psprintf("\"%s\"", token));
    }
    return PointerGetDatum(cstring_to_text_with_len(token, static_cast<int>(size)));
}

// The text that stands in the place of a value, or another text.
std::string_view token_text(Oid type, Datum value) {
    if (type == JSONBOID) {
        Jsonb* jsonb = DatumGetJsonbP(value);
        JsonbValue scalar;
        if (!JsonbExtractScalar(&jsonb->root, &scalar) || scalar.type != jbvString) {
            return {};
        }
        return {scalar.val.string.val, static_cast<std::size_t>(scalar.val.string.len)};
    }
    std::string_view text = text_of(value);
    if (type == JSONOID) {
        bool quoted = text.size() >= 2 && text.front() == '"' && text.back() == '"';
        return quoted ? text.substr(1, text.size() - 2) : std::string_view();
    }
    return text;
}

// What values are bound to, so that no text is read as of another type, whose error would quote it.
std::string_view type_name(Oid type) {
    return type == JSONBOID ? "jsonb" : type == JSONOID ? "json" : "text";
}

Datum plain_value(Oid type, const char* text) {
    return type == JSONBOID ? DirectFunctionCall1(jsonb_in, CStringGetDatum(text))
                            : CStringGetTextDatum(text);
}

Datum encrypt(const SubjectKey& key, const PersonalField& field, std::string_view subject,
              Datum value) {
    std::string_view text = plain_text(field.type, value);
    text = to_utf8(text.data(), text.size());
    std::size_t size = sealed_field_size(text.size());
    char* token = static_cast<char*>(palloc(size + 1));
    FieldPlace place = {
        {key.id_text, strlen(key.id_text)}, field.column->member, subject, type_name(field.type)};
    barrier([&] { seal_field(key.key, place, text).copy(token, size); });
    token[size] = '\0';
    return token_value(field.type, token, size);
}

[[noreturn]] void refuse_without_subject(const PersonalPlan& plan, const PersonalField& field) {
    ereport(
        ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE),
        errmsg("entry of log \"%s\" has personal data of nobody", get_rel_name(plan.log->relation)),
        errdetail("Column \"%s\" has a value, and that which identifies the subject is NULL.",
                  NameStr(field.column->name)),
        errhint("Say whom the entry is about, or leave the column NULL."));
    pg_unreachable();
}

[[noreturn]] void refuse_token(const char* member, const char* problem) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("an encrypted value of field \"%s\" cannot be decrypted", member),
            errdetail("It is not what was written: %s.", problem),
            errhint("SELECT * FROM auditchain.violations('log') names entries that were changed."));
    pg_unreachable();
}

// The id of the key that a token names.
pg_uuid_t require_key_id(const char* member, std::string_view token) {
    char id[37] = "";
    char problem[128] = "";
    barrier([&] {
        try {
            id[key_id_of_field(token).copy(id, sizeof id - 1)] = '\0';
        } catch (const Malformed& e) {
            strlcpy(problem, e.what(), sizeof problem);
        }
    });
    if (problem[0] != '\0') {
        refuse_token(member, problem);
    }
    return *DatumGetUUIDP(DirectFunctionCall1(uuid_in, CStringGetDatum(id)));
}

// What the token stands for, in the server's encoding, palloc'd.
const char* open_token(const SubjectKey& key, const char* member, const char* subject, Oid type,
                       std::string_view token) {
    FieldPlace place = {
        {key.id_text, strlen(key.id_text)}, to_utf8(member), to_utf8(subject), type_name(type)};
    char* text = static_cast<char*>(palloc(token.size() + 1));
    std::size_t size = 0;
    char problem[128] = "";
    barrier([&] {
        try {
            size = open_field(key.key, place, token).copy(text, token.size());
        } catch (const Malformed& e) {
            strlcpy(problem, e.what(), sizeof problem);
        }
    });
    if (problem[0] != '\0') {
        refuse_token(member, problem);
    }
    text[size] = '\0';
    return from_utf8(text, size);
}

int index_of(TupleDesc descriptor, const char* name) {
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute attribute = TupleDescAttr(descriptor, i);
        if (!attribute->attisdropped && strcmp(NameStr(attribute->attname), name) == 0) {
            return i;
        }
    }
    return -1;
}

struct FoundColumn {
    const LogColumn* column;  // nullptr: there is none
    int index;
};

FoundColumn find_member(const Log& log, TupleDesc descriptor, const char* member) {
    for (const LogColumn& column : log.columns) {
        int index = -1;
        if (strcmp(member_text(column), member) == 0) {
            index = index_of(descriptor, NameStr(column.name));
        }
        if (index >= 0) {
            return {&column, index};
        }
    }
    return {};
}

FoundColumn require_member(const Log& log, TupleDesc descriptor, const char* member) {
    FoundColumn found = find_member(log, descriptor, member);
    if (found.column != nullptr) {
        return found;
    }
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("log \"%s\" has lost a column that its personal fields need",
                   get_rel_name(log.relation)),
            errdetail("The column that is \"%s\" in payloads is missing.", member));
    pg_unreachable();
}

[[noreturn]] void refuse_changed_type(const Log& log, const LogColumn& column, Oid type) {
    ereport(ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
            errmsg("personal field \"%s\" of log \"%s\" is of type %s", NameStr(column.name),
                   get_rel_name(log.relation), format_type_be(type)),
            errdetail("Personal fields are of type text, varchar, json or jsonb."),
            errhint("Give the column its type back."));
    pg_unreachable();
}

// Casts of other types may run code of their owners.
[[noreturn]] void refuse_changed_subject(const Log& log, const LogColumn& column, Oid type) {
    ereport(
        ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
        errmsg("column \"%s\" of log \"%s\", which identifies data subjects, is of type %s",
               NameStr(column.name), get_rel_name(log.relation), format_type_be(type)),
        errdetail("Subjects are identified by text, varchar, smallint, integer, bigint or uuid."),
        errhint("Give the column its type back."));
    pg_unreachable();
}

}  // namespace

PersonalDeclaration read_declaration(const Log& log) {
    MemoryContext context = CurrentMemoryContext;
    PersonalDeclaration declaration = {};
    SPI_connect();
    query_catalog("SELECT subject, fields FROM auditchain.personal_log WHERE log_id = $1",
                  {uuid_arg(log.id)});
    if (SPI_processed > 0) {
        MemoryContext spi_context = MemoryContextSwitchTo(context);
        HeapTuple row = SPI_tuptable->vals[0];
        TupleDesc columns = SPI_tuptable->tupdesc;
        bool null;
        declaration.subject = TextDatumGetCString(SPI_getbinval(row, columns, 1, &null));
        declaration.fields = DatumGetArrayTypePCopy(SPI_getbinval(row, columns, 2, &null));
        MemoryContextSwitchTo(spi_context);
    }
    SPI_finish();
    return declaration;
}

bool is_personal_member(const Log& log, const char* member) {
    PersonalDeclaration declaration = read_declaration(log);
    if (declaration.subject == nullptr) {
        return false;
    }
    Datum* members;
    int count;
    deconstruct_array(declaration.fields, TEXTOID, -1, false, TYPALIGN_INT, &members, nullptr,
                      &count);
    return std::any_of(members, members + count,
                       [member](Datum known) { return text_of(known) == member; });
}

const char* subject_column(const Log& log, Oid relation) {
    const char* member = read_declaration(log).subject;
    if (relation != log.relation) {
        return member;
    }
    for (const LogColumn& column : log.columns) {
        if (strcmp(member_text(column), member) == 0) {
            return NameStr(column.name);
        }
    }
    return member;
}

List* archive_tables(const Log& log) {
    query_catalog(
        "SELECT DISTINCT coalesce(relation::oid, 0) FROM auditchain.archive "
        "JOIN auditchain.personal_log AS p USING (log_id) "
        "WHERE log_id = $1 AND expired_at IS NULL AND (relation IS NULL OR EXISTS ("
        "  SELECT FROM pg_attribute WHERE attrelid = relation AND attname = p.subject)) ORDER BY 1",
        {uuid_arg(log.id)});
    SPITupleTable* rows = SPI_tuptable;
    List* tables = NIL;
    for (std::uint64_t i = 0; i < rows->numvals; i++) {
        bool null;
        tables = lappend_oid(
            tables, DatumGetObjectId(SPI_getbinval(rows->vals[i], rows->tupdesc, 1, &null)));
    }
    return tables;
}

namespace {

PersonalPlan* plan_fields(const Log& log, TupleDesc descriptor, bool archived) {
    PersonalDeclaration declaration = read_declaration(log);
    if (declaration.subject == nullptr) {
        return nullptr;
    }
    auto* plan = static_cast<PersonalPlan*>(palloc0(sizeof(PersonalPlan)));
    plan->log = &log;
    FoundColumn subject = require_member(log, descriptor, declaration.subject);
    plan->subject = subject.index;
    Oid subject_type = TupleDescAttr(descriptor, subject.index)->atttypid;
    if (!can_identify_subjects(subject_type)) {
        refuse_changed_subject(log, *subject.column, subject_type);
    }
    Oid output;
    bool varlena;
    getTypeOutputInfo(getBaseType(subject_type), &output, &varlena);
    fmgr_info_cxt(output, &plan->subject_output, CurrentMemoryContext);

    Datum* members;
    int count;
    deconstruct_array(declaration.fields, TEXTOID, -1, false, TYPALIGN_INT, &members, nullptr,
                      &count);
    auto* fields = static_cast<PersonalField*>(palloc0(sizeof(PersonalField) * (count + 1)));
    std::size_t planned = 0;
    for (int i = 0; i < count; i++) {
        const char* member = TextDatumGetCString(members[i]);
        FoundColumn found = archived ? find_member(log, descriptor, member)
                                     : require_member(log, descriptor, member);
        if (found.column == nullptr) {
            continue;
        }
        Oid type = TupleDescAttr(descriptor, found.index)->atttypid;
        if (!can_be_personal(type)) {
            refuse_changed_type(log, *found.column, type);
        }
        fields[planned++] = {found.index, found.column, type};
    }
    plan->fields = {fields, planned};
    return plan;
}

}  // namespace

PersonalPlan* plan_personal_fields(const Log& log, TupleDesc descriptor) {
    return plan_fields(log, descriptor, false);
}

PersonalPlan* plan_archived_fields(const Log& cold, TupleDesc descriptor) {
    return plan_fields(cold, descriptor, true);
}

bool can_be_personal(Oid type) {
    return type == TEXTOID || type == VARCHAROID || type == JSONOID || type == JSONBOID;
}

bool can_identify_subjects(Oid type) {
    for (Oid known : {TEXTOID, VARCHAROID, INT2OID, INT4OID, INT8OID, UUIDOID}) {
        if (getBaseType(type) == known) {
            return true;
        }
    }
    return false;
}

const char* subject_of(PersonalPlan* plan, const Datum* values, const bool* nulls) {
    return nulls[plan->subject] ? nullptr
                                : OutputFunctionCall(&plan->subject_output, values[plan->subject]);
}

void encrypt_personal_fields(PersonalPlan* plan, Datum* values, const bool* nulls) {
    SubjectKey key = {};
    std::string_view subject;
    for (const PersonalField& field : plan->fields) {
        if (nulls[field.index]) {
            continue;
        }
        if (key.id_text[0] == '\0') {
            const char* identifier = subject_of(plan, values, nulls);
            if (identifier == nullptr) {
                refuse_without_subject(*plan, field);
            }
            subject = to_utf8(identifier);
            use_subject_key(subject, &key);
        }
        values[field.index] = encrypt(key, field, subject, values[field.index]);
    }
    erase_key(&key);
}

bool decrypt_personal_field(const char* member, const char* subject, Oid type, Datum value,
                            Datum* result) {
    std::string_view token = token_text(type, value);
    if (!is_sealed_field(token)) {
        *result = value;
        return true;
    }
    pg_uuid_t id = require_key_id(member, token);
    if (subject == nullptr) {
        refuse_token(member, "its entry names no subject");
    }
    SubjectKey key;
    if (!find_subject_key(id, &key)) {
        return false;
    }
    const char* text = open_token(key, member, subject, type, token);
    erase_key(&key);
    *result = plain_value(type, text);
    return true;
}

}  // namespace auditchain::pg

using namespace auditchain::pg;

namespace {

Oid require_personal_type(FunctionCallInfo fcinfo, int argument) {
    Oid type = getBaseType(get_fn_expr_argtype(fcinfo->flinfo, argument));
    if (!can_be_personal(type)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("a value of type %s is no personal field", format_type_be(type)),
                errdetail("Personal fields are of type text, varchar, json or jsonb."),
                errhint("Give a column that auditchain.personal_fields lists."));
    }
    return type;
}

}  // namespace

// decrypt_field(field text, subject text, value anyelement) → anyelement
AUDITCHAIN_FUNCTION(auditchain_decrypt_field) {
    if (PG_ARGISNULL(2)) {
        PG_RETURN_NULL();
    }
    Oid type = require_personal_type(fcinfo, 2);
    if (PG_ARGISNULL(0)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("field must not be NULL"),
                errhint("Name the field as payloads do."));
    }
    const char* subject = PG_ARGISNULL(1) ? nullptr : text_to_cstring(PG_GETARG_TEXT_PP(1));
    Datum result;
    if (!decrypt_personal_field(text_to_cstring(PG_GETARG_TEXT_PP(0)), subject, type,
                                PG_GETARG_DATUM(2), &result)) {
        PG_RETURN_NULL();
    }
    PG_RETURN_DATUM(result);
}

// is_erased(value anyelement) → boolean
AUDITCHAIN_FUNCTION(auditchain_is_erased) {
    std::string_view token = token_text(require_personal_type(fcinfo, 0), PG_GETARG_DATUM(0));
    PG_RETURN_BOOL(auditchain::is_sealed_field(token) &&
                   !subject_key_exists(require_key_id("value", token)));
}
