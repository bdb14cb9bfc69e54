#include "pg/export_event.h"

#include "core/csv.h"
#include "core/json_string.h"
#include "pg/chain_row.h"
#include "pg/payload.h"

extern "C" {
#include <catalog/pg_type.h>
#include <lib/stringinfo.h>
#include <mb/pg_wchar.h>
#include <utils/lsyscache.h>
}

namespace auditchain::pg {
namespace {

// The fields of an event in their order: those that columns are mapped to come first.
constexpr const char* kFieldNames[] = {
    kMappedFieldNames[kFieldId],
    kMappedFieldNames[kFieldTimestamp],
    kMappedFieldNames[kFieldEventType],
    kMappedFieldNames[kFieldActor],
    kMappedFieldNames[kFieldDetails],
    kMappedFieldNames[kFieldTeamId],
    "checksum",
    "previousChecksum",
    "chain",
    "chainPosition",
    "payload",
};

struct EventColumn {
    int index;  // in the row's descriptor, from 0; -1: no column
    std::string_view member;
    Oid type;  // base type of a domain
    ValueWriter* writer;
};

constexpr EventColumn kNoColumn = {-1, {}, InvalidOid, nullptr};

struct Row {
    const Datum* values;
    const bool* nulls;
    bool has(const EventColumn& column) const { return column.index >= 0 && !nulls[column.index]; }
    Datum operator[](const EventColumn& column) const { return values[column.index]; }
};

}  // namespace

struct EventWriter {
    EventSyntax syntax;
    pg_uuid_t log;
    RowPlan* plan;
    EventColumn fields[kMappedFields];
    std::span<EventColumn> key;     // of several columns, where none is the id
    std::span<EventColumn> others;  // not mapped: go under details
    EventColumn checksum;
    EventColumn previous_checksum;
    EventColumn chain_id;
    EventColumn chain_position;
    std::int32_t chain;                            // that chain_name is of
    PallocBuffer chain_name;                       // as JSON; empty: of no chain yet
    PallocBuffer value;                            // of a field that is made of several pieces
    std::string_view keys[lengthof(kFieldNames)];  // each with what stands before it
    std::size_t written;                           // fields of the current event
};

namespace {

std::string_view text_of(const PallocBuffer& buffer) {
    return {buffer.data(), buffer.size()};
}

void append(PallocBuffer* out, std::string_view text) {
    out->append(text.data(), text.size());
}

void put(EventWriter* writer, PallocBuffer* line, std::string_view json) {
    std::size_t field = writer->written++;
    if (writer->syntax == EventSyntax::csv) {
        append(line, field > 0 ? "," : "");
        append_csv_field(*line, json);
    } else {
        append(line, writer->keys[field]);
        append(line, json);
        append(line, writer->written < lengthof(kFieldNames) ? "" : "}");
    }
}

// A json column keeps its text, which is JSON but for being on one line: its line breaks are white
// space.
std::string_view json_text(Datum value) {
    const char* document = TextDatumGetCString(value);
    auto length = static_cast<int>(strlen(document));
    char* line = pstrdup(pg_server_to_any(document, length, PG_UTF8));
    std::replace_if(
        line, line + strlen(line), [](char c) { return c == '\n' || c == '\r'; }, ' ');
    return line;
}

// The value of a column as JSON. Valid until the next value.
std::string_view column_json(EventWriter* writer, const Row& row, const EventColumn& column) {
    if (!row.has(column)) {
        return "null";
    }
    if (column.type == JSONOID) {
        return json_text(row[column]);
    }
    JsonWriter& json = *writer->plan->json;
    json.reset();
    write_value(json, *column.writer, row[column]);
    return json.text();
}

// A key of several columns makes an id that is a string: the JSON array of their values.
std::string_view key_json(EventWriter* writer, const Row& row) {
    JsonWriter& json = *writer->plan->json;
    json.reset();
    json.begin_array();
    for (const EventColumn& column : writer->key) {
        if (row.has(column)) {
            write_value(json, *column.writer, row[column]);
        } else {
            json.null();
        }
    }
    json.end_array();
    writer->value.resize(0);
    append_json_string(writer->value, json.text());
    return text_of(writer->value);
}

// A column's name among the members of an object that it is put beside: "column." before it where
// the object has a member of that name.
std::string_view free_name(std::string_view member, Jsonb* object) {
    const char* name = pnstrdup(member.data(), member.size());
    while (object != nullptr) {
        auto length = static_cast<int>(strlen(name));
        const char* key = pg_any_to_server(name, length, PG_UTF8);
        if (getKeyJsonValueFromContainer(&object->root, key, static_cast<int>(strlen(key)),
                                         nullptr) == nullptr) {
            break;
        }
        name = psprintf("column.%s", name);
    }
    return name;
}

// An object always: the members of the mapped column's object, or the column itself where it holds
// something else, and beside them every column that no field has. NULLs are left out, as in
// payloads.
std::string_view details_json(EventWriter* writer, const Row& row) {
    const EventColumn& column = writer->fields[kFieldDetails];
    PallocBuffer& out = writer->value;
    Jsonb* object = nullptr;
    out.resize(0);
    append(&out, "{");
    if (row.has(column) && column.type == JSONBOID) {
        Jsonb* document = DatumGetJsonbP(row[column]);
        object = JB_ROOT_IS_OBJECT(document) ? document : nullptr;
    }
    if (object != nullptr) {
        std::string_view members = column_json(writer, row, column);
        append(&out, members.substr(1, members.size() - 2));
    } else if (row.has(column)) {
        append_member(&out, column.member, column_json(writer, row, column));
    }
    for (const EventColumn& other : writer->others) {
        if (row.has(other)) {
            append_member(&out, free_name(other.member, object), column_json(writer, row, other));
        }
    }
    append(&out, "}");
    return text_of(out);
}

// The chain's name; entries come chain by chain, so it is looked up once a chain.
std::string_view chain_json(EventWriter* writer, const Row& row) {
    if (!row.has(writer->chain_id)) {
        return "null";
    }
    std::int32_t chain = DatumGetInt32(row[writer->chain_id]);
    if (writer->chain_name.size() == 0 || writer->chain != chain) {
        ChainName name;
        bool ours = find_chain_name(chain, &name) &&
                    memcmp(&name.log, &writer->log, sizeof writer->log) == 0;
        writer->chain = chain;
        writer->chain_name.resize(0);
        append_json_string(writer->chain_name, ours ? psprintf("%s/%d", name.key, name.lane)
                                                    : psprintf("chain_id %d", chain));
    }
    return text_of(writer->chain_name);
}

std::string_view payload_json(EventWriter* writer, const Row& row) {
    std::string_view payload = write_payload(writer->plan, row.values, row.nulls);
    writer->value.resize(0);
    append_json_string(writer->value, payload);
    return text_of(writer->value);
}

EventColumn find_planned(const EventWriter& writer, TupleDesc descriptor, const LogColumn* column) {
    if (column == nullptr) {
        return kNoColumn;
    }
    auto planned = std::find_if(
        writer.plan->columns.begin(), writer.plan->columns.end(),
        [column](const PlannedColumn& candidate) { return candidate.member == column->member; });
    Oid type = TupleDescAttr(descriptor, planned->index)->atttypid;
    return {planned->index, planned->member, getBaseType(type), planned->writer};
}

EventColumn own_column(TupleDesc descriptor, AttrNumber attnum) {
    bool depends_on_types = false;
    Oid type = TupleDescAttr(descriptor, attnum - 1)->atttypid;
    return {attnum - 1, {}, type, make_value_writer(type, &depends_on_types)};
}

std::span<EventColumn> find_key(const EventWriter& writer, TupleDesc descriptor, List* key) {
    auto* columns =
        static_cast<EventColumn*>(palloc0(sizeof(EventColumn) * (list_length(key) + 1)));
    std::size_t count = 0;
    ListCell* cell;
    foreach (cell, key) {
        columns[count++] =
            find_planned(writer, descriptor, static_cast<const LogColumn*>(lfirst(cell)));
    }
    return {columns, count};
}

std::span<EventColumn> find_others(const EventWriter& writer, TupleDesc descriptor, const Log& log,
                                   const Mapping& mapping) {
    auto* columns =
        static_cast<EventColumn*>(palloc0(sizeof(EventColumn) * (log.columns.size() + 1)));
    std::size_t count = 0;
    for (const LogColumn& column : log.columns) {
        if (!is_mapped(mapping, &column)) {
            columns[count++] = find_planned(writer, descriptor, &column);
        }
    }
    return {columns, count};
}

}  // namespace

EventWriter* make_event_writer(const Log& log, const Mapping& mapping, TupleDesc descriptor,
                               EventSyntax syntax) {
    RowPlan* plan = plan_row(log, descriptor);
    require_chain_columns(log, *plan, log.relation);
    auto* writer = new (palloc(sizeof(EventWriter))) EventWriter{
        .syntax = syntax,
        .log = log.id,
        .plan = plan,
        .fields = {},
        .key = {},
        .others = {},
        .checksum = own_column(descriptor, plan->checksum),
        .previous_checksum = own_column(descriptor, plan->previous_checksum),
        .chain_id = own_column(descriptor, plan->chain_id),
        .chain_position = own_column(descriptor, plan->chain_position),
        .chain = 0,
        .chain_name = PallocBuffer(CurrentMemoryContext),
        .value = PallocBuffer(CurrentMemoryContext),
        .keys = {},
        .written = 0,
    };
    for (std::size_t field = 0; field < lengthof(kFieldNames); field++) {
        writer->keys[field] = psprintf("%c\"%s\":", field == 0 ? '{' : ',', kFieldNames[field]);
    }
    for (int field = 0; field < kMappedFields; field++) {
        writer->fields[field] = find_planned(*writer, descriptor, mapping.columns[field]);
    }
    writer->key = find_key(*writer, descriptor, mapping.key);
    writer->others = find_others(*writer, descriptor, log, mapping);
    return writer;
}

void write_event(EventWriter* writer, const Datum* values, const bool* nulls, PallocBuffer* line) {
    Row row = {values, nulls};
    writer->written = 0;
    for (int field = 0; field < kMappedFields; field++) {
        bool is_key = field == kFieldId && !writer->key.empty();
        put(writer, line,
            is_key                   ? key_json(writer, row)
            : field == kFieldDetails ? details_json(writer, row)
                                     : column_json(writer, row, writer->fields[field]));
    }
    put(writer, line, column_json(writer, row, writer->checksum));
    put(writer, line, column_json(writer, row, writer->previous_checksum));
    put(writer, line, chain_json(writer, row));
    put(writer, line, column_json(writer, row, writer->chain_position));
    put(writer, line, payload_json(writer, row));
}

const char* csv_header() {
    StringInfoData header;
    initStringInfo(&header);
    for (const char* name : kFieldNames) {
        appendStringInfo(&header, "%s%s", header.len > 0 ? "," : "", name);
    }
    return header.data;
}

void append_member(PallocBuffer* out, std::string_view name, std::string_view json) {
    if (out->data()[out->size() - 1] != '{') {
        append(out, ",");
    }
    append_json_string(*out, name);
    append(out, ":");
    append(out, json);
}

}  // namespace auditchain::pg
