#include "pg/value_reader.h"

#include "core/json_cursor.h"
#include "core/json_reader.h"
#include "pg/errors.h"
#include "pg/value_writer.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type.h>
#include <funcapi.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/fmgrprotos.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
}

namespace auditchain::pg {

struct FieldReader {
    std::string_view name;  // UTF-8; empty: of a dropped field
    ValueReader* reader;
};

struct ValueReader {
    using Read = Datum (*)(ValueReader&, std::string_view json);
    Read read;
    Oid type;  // base type of a domain
    FmgrInfo input;
    Oid io_parameter;
    // Arrays.
    Oid element_type;
    ValueReader* element;
    // Composites.
    TupleDesc descriptor;
    FieldReader* fields;
};

namespace {

// The text that an input function reads: of a string what it says, of anything else itself.
char* input_text(std::string_view json) {
    JsonReader text(json);
    std::string_view escaped;
    if (!text.string(&escaped)) {
        return pnstrdup(json.data(), json.size());
    }
    if (!text.at_end()) {
        refuse_payload();
    }
    return unescaped_text(escaped);
}

Datum read_text(ValueReader& reader, char* text) {
    // Without a type modifier: nothing is to be rounded, cut or padded.
    return InputFunctionCall(&reader.input, text, reader.io_parameter, -1);
}

Datum read_input(ValueReader& reader, std::string_view json) {
    return read_text(reader, input_text(json));
}

// A document, not the text in a string.
Datum read_jsonb(ValueReader& reader, std::string_view json) {
    char* text = pnstrdup(json.data(), json.size());
    return read_text(reader, pg_any_to_server(text, static_cast<int>(json.size()), PG_UTF8));
}

Datum read_bytea(ValueReader& reader, std::string_view json) {
    return read_text(reader, psprintf("\\x%s", input_text(json)));
}

Datum read_money(ValueReader&, std::string_view json) {
    return DirectFunctionCall1(int8in, CStringGetDatum(input_text(json)));
}

// As write_char() has it, which PostgreSQL reads only since 16.
Datum read_char(ValueReader&, std::string_view json) {
    const char* text = input_text(json);
    bool octal = text[0] == '\\' && strlen(text) == 4;
    return CharGetDatum(
        octal ? static_cast<char>((text[1] - '0') << 6 | (text[2] - '0') << 3 | (text[3] - '0'))
              : text[0]);
}

// An array that is being read.
struct ArrayParts {
    ArrayBuildState* state;
    int dimensions;
    int sizes[MAXDIM];
};

// Whether the JSON of an element may itself be an array: then dimensions cannot be told from it.
bool is_array_in_json(const ValueReader& element) {
    return element.type == JSONBOID || element.element != nullptr;
}

int count_dimensions(const ValueReader& element, std::string_view json) {
    std::size_t depth = std::min(json.find_first_not_of('['), json.size());
    if (depth > MAXDIM && !is_array_in_json(element)) {
        refuse_payload();
    }
    return is_array_in_json(element) ? 1 : static_cast<int>(depth);
}

void read_dimension(ValueReader& reader, std::string_view json, int dimension, ArrayParts* parts) {
    JsonReader elements(json);
    int count = 0;
    std::string_view text;
    if (!elements.take('[')) {
        refuse_payload();
    }
    do {
        if (!elements.value(&text)) {
            refuse_payload();
        }
        count++;
        if (dimension + 1 < parts->dimensions) {
            read_dimension(reader, text, dimension + 1, parts);
            continue;
        }
        bool null = text == "null";  // a null of jsonb looks the same, and is rarer
        Datum value = null ? 0 : read_value(*reader.element, text);
        parts->state =
            accumArrayResult(parts->state, value, null, reader.element_type, CurrentMemoryContext);
    } while (elements.take(','));
    if (!elements.take(']') || !elements.at_end() ||
        (parts->sizes[dimension] != 0 && parts->sizes[dimension] != count)) {
        refuse_payload();
    }
    parts->sizes[dimension] = count;
}

Datum read_array(ValueReader& reader, std::string_view json) {
    if (json.front() != '[') {  // with lower bounds of its own: the text
        return read_input(reader, json);
    }
    if (json == "[]") {
        return PointerGetDatum(construct_empty_array(reader.element_type));
    }
    ArrayParts parts = {};
    parts.dimensions = count_dimensions(*reader.element, json);
    read_dimension(reader, json, 0, &parts);
    int lower_bounds[MAXDIM];
    std::fill_n(lower_bounds, MAXDIM, 1);
    return makeMdArrayResult(parts.state, parts.dimensions, parts.sizes, lower_bounds,
                             CurrentMemoryContext, false);
}

int find_field(const ValueReader& reader, std::string_view name) {
    for (int i = 0; i < reader.descriptor->natts; i++) {
        if (reader.fields[i].reader != nullptr && reader.fields[i].name == name) {
            return i;
        }
    }
    refuse_payload();
}

Datum read_composite(ValueReader& reader, std::string_view json) {
    int natts = reader.descriptor->natts;
    auto* values = static_cast<Datum*>(palloc0((natts + 1) * sizeof(Datum)));
    auto* nulls = static_cast<bool*>(palloc((natts + 1) * sizeof(bool)));
    std::fill_n(nulls, natts, true);
    JsonReader members(json);
    if (!members.take('{')) {
        refuse_payload();
    }
    if (!members.take('}')) {
        do {
            std::string_view name;
            std::string_view text;
            if (!members.string(&name) || !members.take(':') || !members.value(&text)) {
                refuse_payload();
            }
            int field = find_field(reader, unescaped_utf8(name));
            values[field] = read_value(*reader.fields[field].reader, text);
            nulls[field] = false;
        } while (members.take(','));
        if (!members.take('}') || !members.at_end()) {
            refuse_payload();
        }
    }
    return HeapTupleGetDatum(heap_form_tuple(reader.descriptor, values, nulls));
}

void prepare_composite(ValueReader* reader) {
    reader->descriptor = lookup_rowtype_tupdesc_copy(reader->type, -1);
    int natts = reader->descriptor->natts;
    reader->fields = static_cast<FieldReader*>(palloc0((natts + 1) * sizeof(FieldReader)));
    for (int i = 0; i < natts; i++) {
        Form_pg_attribute field = TupleDescAttr(reader->descriptor, i);
        if (!field->attisdropped) {
            const char* name = pstrdup(NameStr(field->attname));
            reader->fields[i] = {to_utf8(name, static_cast<int>(strlen(name))),
                                 make_value_reader(field->atttypid)};
        }
    }
}

ValueReader::Read builtin_reader(Oid type) {
    switch (type) {
        case JSONBOID:
            return read_jsonb;
        case BYTEAOID:
            return read_bytea;
        case CASHOID:
            return read_money;
        case CHAROID:
            return read_char;
        default:
            return read_input;
    }
}

}  // namespace

ValueReader* make_value_reader(Oid type) {
    check_stack_depth();
    auto* reader = static_cast<ValueReader*>(palloc0(sizeof(ValueReader)));
    reader->type = getBaseType(type);
    Oid input;
    getTypeInputInfo(reader->type, &input, &reader->io_parameter);
    fmgr_info_cxt(input, &reader->input, CurrentMemoryContext);
    reader->element_type = get_element_type(reader->type);
    if (OidIsValid(reader->element_type)) {
        reader->read = read_array;
        reader->element = make_value_reader(reader->element_type);
    } else if (get_typtype(reader->type) == TYPTYPE_COMPOSITE) {
        reader->read = read_composite;
        prepare_composite(reader);
    } else {
        reader->read = builtin_reader(reader->type);
    }
    return reader;
}

Datum read_value(ValueReader& reader, std::string_view json) {
    check_stack_depth();
    return reader.read(reader, json);
}

std::string_view unescaped_utf8(std::string_view escaped) {
    auto* text = static_cast<char*>(palloc_extended(escaped.size() + 1, MCXT_ALLOC_HUGE));
    char* end = unescape(escaped, text);
    *end = '\0';
    return {text, static_cast<std::size_t>(end - text)};
}

char* unescaped_text(std::string_view escaped) {
    std::string_view text = unescaped_utf8(escaped);
    return pg_any_to_server(const_cast<char*>(text.data()), static_cast<int>(text.size()), PG_UTF8);
}

[[noreturn]] void refuse_payload() {
    ereport(ERROR, errcode(ERRCODE_AC_UNSUPPORTED_VALUE), errmsg("a payload cannot be read back"),
            errdetail("It is not one of the log's columns as they are now."),
            errhint("The bundle itself has it: docs/bundle.md says how to read it."));
    pg_unreachable();
}

}  // namespace auditchain::pg
