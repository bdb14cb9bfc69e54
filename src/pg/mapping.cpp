#include "pg/mapping.h"

#include "pg/errors.h"
#include "pg/table_columns.h"

extern "C" {
#include <catalog/pg_type.h>
#include <executor/spi.h>
#include <mb/pg_wchar.h>
#include <utils/inval.h>
#include <utils/jsonb.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {

bool is_mapped(const Mapping& mapping, const LogColumn* column) {
    return std::find(std::begin(mapping.columns), std::end(mapping.columns), column) !=
           std::end(mapping.columns);
}

namespace {

constexpr const char* kScope = "scope";
constexpr const char* kKnownKeys = "id, timestamp, eventType, actor, details, teamId, scope";

// Names that are usual for the columns of audit tables, the most telling first. Case and
// underscores do not count: eventType is event_type.
constexpr std::string_view kUsualIds[] = {"id", "eventid", "auditid", "entryid", "logid", "uuid"};
constexpr std::string_view kUsualTimestamps[] = {
    "timestamp", "occurredat", "eventtime",  "eventtimestamp", "eventat",    "happenedat",
    "createdat", "loggedat",   "recordedat", "performedat",    "insertedat", "createdon",
    "time",      "ts",         "at",         "created",        "datetime",   "date"};
constexpr std::string_view kUsualEventTypes[] = {"eventtype", "eventname", "event",    "actiontype",
                                                 "action",    "operation", "activity", "verb",
                                                 "type",      "kind"};
constexpr std::string_view kUsualActors[] = {"actor",     "actorid",     "actoremail", "actorname",
                                             "userid",    "useremail",   "username",   "user",
                                             "email",     "performedby", "createdby",  "changedby",
                                             "principal", "principalid", "subjectid"};
constexpr std::string_view kUsualDetails[] = {"details",    "detail",     "data",
                                              "eventdata",  "metadata",   "context",
                                              "attributes", "properties", "eventdetails"};
constexpr std::string_view kUsualTeamIds[] = {
    "teamid",       "team",           "tenantid",     "tenant",    "organizationid",
    "organization", "organisationid", "organisation", "orgid",     "org",
    "accountid",    "workspaceid",    "companyid",    "customerid"};

constexpr std::span<const std::string_view> kUsualNames[kMappedFields] = {
    kUsualIds, kUsualTimestamps, kUsualEventTypes, kUsualActors, kUsualDetails, kUsualTeamIds};

bool is_usual_name(std::string_view usual, std::string_view member) {
    for (char c : member) {
        if (c == '_') {
            continue;
        }
        if (usual.empty() || pg_ascii_tolower(static_cast<unsigned char>(c)) != usual[0]) {
            return false;
        }
        usual.remove_prefix(1);
    }
    return usual.empty();
}

bool is_time_column(const Log& log, const LogColumn& column) {
    AttrNumber attnum = get_attnum(log.relation, NameStr(column.name));
    Oid type = getBaseType(get_atttype(log.relation, attnum));
    return type == TIMESTAMPTZOID || type == TIMESTAMPOID || type == DATEOID;
}

// Whether the column can be mapped to the field by its type. Asked of columns that set_mapping
// named, too: that of a released log may have got a type whose cast to a time is its owner's code.
bool may_hold(const Log& log, int field, const LogColumn& column) {
    return field != kFieldTimestamp || is_time_column(log, column);
}

const LogColumn* usual_column(const Log& log, const Mapping& mapping, int field) {
    for (std::string_view usual : kUsualNames[field]) {
        for (const LogColumn& column : log.columns) {
            if (is_usual_name(usual, column.member) && !is_mapped(mapping, &column) &&
                may_hold(log, field, column)) {
                return &column;
            }
        }
    }
    return nullptr;
}

const LogColumn* mapped_column(const Log& log, const JsonbValue& name, int field) {
    const char* text = pnstrdup(name.val.string.val, name.val.string.len);
    std::string_view member = pg_server_to_any(text, name.val.string.len, PG_UTF8);
    for (const LogColumn& column : log.columns) {
        if (column.member == member && may_hold(log, field, column)) {
            return &column;
        }
    }
    // A released log is its owner's to alter, which must not hide the other logs from anybody.
    if (log.released) {
        return nullptr;
    }
    ereport(
        ERROR, errcode(ERRCODE_AC_DAMAGED_LOG),
        errmsg("log \"%s\" has lost the column that is mapped to \"%s\"",
               get_rel_name(log.relation), kMappedFieldNames[field]),
        errdetail("The column that is \"%s\" in payloads is missing.", text),
        errhint("SELECT auditchain.set_mapping('%s', '{}') returns to columns with usual names.",
                qualified_name(log.relation)));
}

// What has no id is known by its primary key.
void map_primary_key(const Log& log, Mapping* mapping) {
    List* columns = NIL;
    ListCell* cell;
    foreach (cell, primary_key_columns(log.relation)) {
        const LogColumn* column = find_column(log, static_cast<const char*>(lfirst(cell)));
        if (column == nullptr) {
            return;  // generated: in no payload
        }
        columns = lappend(columns, const_cast<LogColumn*>(column));
    }
    if (list_length(columns) == 1) {
        mapping->columns[kFieldId] = static_cast<const LogColumn*>(linitial(columns));
    } else {
        mapping->key = columns;
    }
}

JsonbValue* find_setting(const Log& log, const char* name) {
    return getKeyJsonValueFromContainer(&log.mapping->root, name, static_cast<int>(strlen(name)),
                                        nullptr);
}

}  // namespace

Mapping resolve_mapping(const Log& log) {
    Mapping mapping = {};
    bool set[kMappedFields];
    for (int field = 0; field < kMappedFields; field++) {
        const JsonbValue* setting = find_setting(log, kMappedFieldNames[field]);
        set[field] = setting != nullptr;
        if (setting != nullptr && setting->type == jbvString) {
            mapping.columns[field] = mapped_column(log, *setting, field);
        }
    }
    for (int field = 0; field < kMappedFields; field++) {
        if (!set[field]) {
            mapping.columns[field] = usual_column(log, mapping, field);
        }
    }
    if (!set[kFieldId] && mapping.columns[kFieldId] == nullptr) {
        map_primary_key(log, &mapping);
    }
    const JsonbValue* scope = find_setting(log, kScope);
    if (scope != nullptr && scope->type == jbvString) {
        mapping.scope = pnstrdup(scope->val.string.val, scope->val.string.len);
    }
    return mapping;
}

namespace {

[[noreturn]] void refuse_mapping(const char* detail, const char* hint) {
    ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT), errmsg("invalid mapping"),
            errdetail("%s", detail), errhint("%s", hint));
    pg_unreachable();
}

// The member that a column named in the argument has in payloads.
JsonbValue require_mapped_member(const Log& log, int field, const char* name) {
    const LogColumn* column = find_column(log, name);
    if (column == nullptr) {
        refuse_mapping(psprintf("\"%s\" names \"%s\", which is no column of \"%s\" that payloads "
                                "contain.",
                                kMappedFieldNames[field], name, get_rel_name(log.relation)),
                       "Name a column that an application writes.");
    }
    if (!may_hold(log, field, *column)) {
        refuse_mapping(psprintf("\"timestamp\" names \"%s\", which holds no points in time.", name),
                       "Name a column of type timestamptz, timestamp or date.");
    }
    auto length = static_cast<int>(column->member.size());
    JsonbValue member = {};
    member.type = jbvString;
    member.val.string.val = pg_any_to_server(column->member.data(), length, PG_UTF8);
    member.val.string.len = static_cast<int>(strlen(member.val.string.val));
    return member;
}

int find_field(const char* name) {
    auto is = [name](const char* field) { return strcmp(field, name) == 0; };
    return static_cast<int>(
        std::find_if(std::begin(kMappedFieldNames), std::end(kMappedFieldNames), is) -
        std::begin(kMappedFieldNames));
}

// One member of the argument as it is stored.
JsonbValue require_setting(const Log& log, const char* key, const JsonbValue& value) {
    int field = find_field(key);
    if (field == kMappedFields && strcmp(key, kScope) != 0) {
        refuse_mapping(psprintf("\"%s\" is nothing that can be mapped.", key),
                       psprintf("The keys are %s.", kKnownKeys));
    }
    if (value.type != jbvString && value.type != jbvNull) {
        refuse_mapping(psprintf("\"%s\" is neither a string nor null.", key),
                       "Give the name of a column; null maps nothing to the field.");
    }
    if (value.type == jbvNull || field == kMappedFields) {
        return value;
    }
    const char* name = pnstrdup(value.val.string.val, value.val.string.len);
    return require_mapped_member(log, field, name);
}

Jsonb* require_mapping(const Log& log, Jsonb* argument) {
    if (!JB_ROOT_IS_OBJECT(argument)) {
        refuse_mapping("It is not a JSON object.",
                       R"(For example: '{"timestamp": "occurred_at", "teamId": null}')");
    }
    JsonbIterator* iterator = JsonbIteratorInit(&argument->root);
    JsonbParseState* state = nullptr;
    JsonbValue key;
    JsonbValue value;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    JsonbIteratorNext(&iterator, &key, true);  // the beginning of the object
    while (JsonbIteratorNext(&iterator, &key, true) == WJB_KEY) {
        JsonbIteratorNext(&iterator, &value, true);
        value = require_setting(log, pnstrdup(key.val.string.val, key.val.string.len), value);
        pushJsonbValue(&state, WJB_KEY, &key);
        pushJsonbValue(&state, WJB_VALUE, &value);
    }
    return JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr));
}

}  // namespace
}  // namespace auditchain::pg

using namespace auditchain::pg;

// set_mapping(log regclass, mapping jsonb)
AUDITCHAIN_FUNCTION(auditchain_set_mapping) {
    if (PG_ARGISNULL(0) || PG_ARGISNULL(1)) {
        ereport(ERROR, errcode(ERRCODE_AC_INVALID_ARGUMENT),
                errmsg("log and mapping must not be NULL"),
                errhint("The mapping '{}' returns to columns with usual names."));
    }
    const Log& log = require_log(PG_GETARG_OID(0));
    require_owner(log.relation);
    Jsonb* mapping = require_mapping(log, PG_GETARG_JSONB_P(1));

    SPI_connect();
    change_catalog("UPDATE auditchain.log SET mapping = $2 WHERE log_id = $1",
                   {uuid_arg(log.id), {JSONBOID, JsonbPGetDatum(mapping)}});
    record_log_event(log.id, "mapping_set",
                     JsonbToCString(nullptr, &mapping->root, VARSIZE(mapping)));
    CacheInvalidateRelcacheByRelid(log.relation);
    SPI_finish();
    PG_RETURN_VOID();
}

namespace {

void push_text(JsonbParseState** state, JsonbIteratorToken token, const char* text) {
    JsonbValue value = {};
    value.type = jbvString;
    value.val.string.val = const_cast<char*>(text);
    value.val.string.len = static_cast<int>(strlen(text));
    pushJsonbValue(state, token, &value);
}

}  // namespace

// _mapping(log regclass) → jsonb: field → column, by the names that the columns have now
AUDITCHAIN_FUNCTION(auditchain_mapping) {
    Mapping mapping = resolve_mapping(require_log(PG_GETARG_OID(0)));
    JsonbParseState* state = nullptr;
    pushJsonbValue(&state, WJB_BEGIN_OBJECT, nullptr);
    for (int field = 0; field < kMappedFields; field++) {
        if (mapping.columns[field] != nullptr) {
            push_text(&state, WJB_KEY, kMappedFieldNames[field]);
            push_text(&state, WJB_VALUE, NameStr(mapping.columns[field]->name));
        }
    }
    if (mapping.scope != nullptr) {
        push_text(&state, WJB_KEY, kScope);
        push_text(&state, WJB_VALUE, mapping.scope);
    }
    PG_RETURN_JSONB_P(JsonbValueToJsonb(pushJsonbValue(&state, WJB_END_OBJECT, nullptr)));
}
