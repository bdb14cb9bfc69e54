#include "pg/value_writer.h"

#include "core/utf16_order.h"

extern "C" {
#include <access/htup_details.h>
#include <catalog/pg_type.h>
#include <common/shortest_dec.h>
#include <mb/pg_wchar.h>
#include <miscadmin.h>
#include <utils/array.h>
#include <utils/cash.h>
#include <utils/lsyscache.h>
#include <utils/typcache.h>
#include <utils/uuid.h>
}

#include <cmath>

namespace auditchain::pg {

struct CompositeField {
    int index;  // in the composite's descriptor, from 0
    std::string_view name;
    std::string_view key;  // of make_key
    ValueWriter* writer;
};

struct ValueWriter {
    using Write = void (*)(JsonWriter&, ValueWriter&, Datum);
    Write write;
    Oid type;  // base type of a domain
    FmgrInfo output;
    OutputDependence dependence;  // of the output function
    OutputDependence usual;       // usual_dependence()
    PallocBuffer* stack;          // jsonb
    // Arrays.
    ValueWriter* element;
    std::int16_t element_length;
    bool element_by_value;
    char element_alignment;
    // Composites: by UTF-16 order of their names.
    TupleDesc descriptor;
    std::span<CompositeField> fields;
};

namespace {

void write_boolean(JsonWriter& json, ValueWriter&, Datum value) {
    json.boolean(DatumGetBool(value));
}

void write_integer(JsonWriter& json, std::int64_t value) {
    char text[MAXINT8LEN + 1];
    int length = pg_lltoa(value, text);
    json.number({text, static_cast<std::size_t>(length)});
}

void write_int2(JsonWriter& json, ValueWriter&, Datum value) {
    write_integer(json, DatumGetInt16(value));
}
void write_int4(JsonWriter& json, ValueWriter&, Datum value) {
    write_integer(json, DatumGetInt32(value));
}
void write_int8(JsonWriter& json, ValueWriter&, Datum value) {
    write_integer(json, DatumGetInt64(value));
}
void write_money(JsonWriter& json, ValueWriter&, Datum value) {
    write_integer(json, DatumGetCash(value));
}

// NaN and the infinities, which JSON has no number for, are strings.
bool write_special(JsonWriter& json, double value) {
    if (std::isfinite(value)) {
        return false;
    }
    json.string(std::isnan(value) ? "NaN" : value > 0 ? "Infinity" : "-Infinity");
    return true;
}

// The shortest text that reads back as the same value: what PostgreSQL prints by default.
void write_float4(JsonWriter& json, ValueWriter&, Datum value) {
    float number = DatumGetFloat4(value);
    if (!write_special(json, number)) {
        char text[FLOAT_SHORTEST_DECIMAL_LEN];
        int length = float_to_shortest_decimal_bufn(number, text);
        json.number({text, static_cast<std::size_t>(length)});
    }
}
void write_float8(JsonWriter& json, ValueWriter&, Datum value) {
    double number = DatumGetFloat8(value);
    if (!write_special(json, number)) {
        char text[DOUBLE_SHORTEST_DECIMAL_LEN];
        int length = double_to_shortest_decimal_bufn(number, text);
        json.number({text, static_cast<std::size_t>(length)});
    }
}

// text, varchar, char(n) with its padding, and json, whose exact text is kept.
void write_varlena_text(JsonWriter& json, ValueWriter&, Datum value) {
    struct varlena* text = PG_DETOAST_DATUM_PACKED(value);
    write_text(json, VARDATA_ANY(text), VARSIZE_ANY_EXHDR(text));
}

void write_name(JsonWriter& json, ValueWriter&, Datum value) {
    const char* name = NameStr(*DatumGetName(value));
    write_text(json, name, static_cast<int>(strlen(name)));
}

// As PostgreSQL 16 prints "char": before it, a byte with the high bit set came out raw.
void write_char(JsonWriter& json, ValueWriter&, Datum value) {
    auto byte = static_cast<unsigned char>(DatumGetChar(value));
    char text[8];
    int length = snprintf(text, sizeof text, byte >= 0x80 ? "\\%03o" : "%c", byte);
    json.string({text, byte == 0 ? 0 : static_cast<std::size_t>(length)});
}

void write_bytea(JsonWriter& json, ValueWriter&, Datum value) {
    struct varlena* bytes = PG_DETOAST_DATUM_PACKED(value);
    json.hex_string({reinterpret_cast<const std::uint8_t*>(VARDATA_ANY(bytes)),
                     static_cast<std::size_t>(VARSIZE_ANY_EXHDR(bytes))});
}

void write_uuid(JsonWriter& json, ValueWriter&, Datum value) {
    const pg_uuid_t* uuid = DatumGetUUIDP(value);
    char text[36];
    char* out = text;
    for (int i = 0; i < UUID_LEN; i += 2) {
        if (i == 4 || i == 6 || i == 8 || i == 10) {
            *out++ = '-';
        }
        write_hex(uuid->data + i, 2, out);
        out += 4;
    }
    json.plain_string({text, sizeof text});
}

void write_jsonb_value(JsonWriter& json, ValueWriter& writer, Datum value) {
    write_jsonb(json, *writer.stack, value);
}

void write_output(JsonWriter& json, ValueWriter& writer, Datum value) {
    OutputSettings settings = enter_output_settings(writer.dependence);
    const char* text = OutputFunctionCall(&writer.output, value);
    leave_output_settings(settings);
    write_text(json, text, static_cast<int>(strlen(text)));
}

// Writes the elements of one dimension, and below it those of the inner ones.
void write_dimension(JsonWriter& json, ValueWriter& element, std::span<const int> dimensions,
                     const Datum*& values, const bool*& nulls) {
    check_stack_depth();
    json.begin_array();
    for (int i = 0; i < dimensions[0]; i++) {
        if (dimensions.size() > 1) {
            write_dimension(json, element, dimensions.subspan(1), values, nulls);
        } else if (*nulls++) {
            json.null();
            values++;
        } else {
            write_value(json, element, *values++);
        }
    }
    json.end_array();
}

void write_array(JsonWriter& json, ValueWriter& writer, Datum value) {
    ArrayType* array = DatumGetArrayTypeP(value);
    int dimensions = ARR_NDIM(array);
    const int* lower_bounds = ARR_LBOUND(array);
    if (std::any_of(lower_bounds, lower_bounds + dimensions, [](int low) { return low != 1; })) {
        write_output(json, writer, PointerGetDatum(array));
        return;
    }
    if (dimensions == 0) {
        json.begin_array();
        json.end_array();
        return;
    }
    Datum* values;
    bool* nulls;
    int count;
    // Of its own element type, which may be a domain where that of the writer is the base type.
    deconstruct_array(array, ARR_ELEMTYPE(array), writer.element_length, writer.element_by_value,
                      writer.element_alignment, &values, &nulls, &count);
    const Datum* next_value = values;
    const bool* next_null = nulls;
    write_dimension(json, *writer.element, {ARR_DIMS(array), static_cast<std::size_t>(dimensions)},
                    next_value, next_null);
}

void write_composite(JsonWriter& json, ValueWriter& writer, Datum value) {
    HeapTupleHeader header = DatumGetHeapTupleHeader(value);
    HeapTupleData tuple = {};
    tuple.t_len = HeapTupleHeaderGetDatumLength(header);
    ItemPointerSetInvalid(&tuple.t_self);
    tuple.t_data = header;
    auto natts = static_cast<std::size_t>(writer.descriptor->natts);
    auto* values = static_cast<Datum*>(palloc(natts * sizeof(Datum)));
    auto* nulls = static_cast<bool*>(palloc(natts * sizeof(bool)));
    heap_deform_tuple(&tuple, writer.descriptor, values, nulls);
    json.begin_object();
    for (const CompositeField& field : writer.fields) {
        if (!nulls[field.index]) {
            json.escaped_key(field.key);
            write_value(json, *field.writer, values[field.index]);
        }
    }
    json.end_sorted_object();
}

void prepare_composite(ValueWriter* writer) {
    bool depends_on_types = true;
    TupleDesc descriptor = lookup_rowtype_tupdesc_copy(writer->type, -1);
    auto* fields =
        static_cast<CompositeField*>(palloc0(sizeof(CompositeField) * (descriptor->natts + 1)));
    std::size_t count = 0;
    for (int i = 0; i < descriptor->natts; i++) {
        Form_pg_attribute field = TupleDescAttr(descriptor, i);
        if (field->attisdropped) {
            continue;
        }
        const char* text = pstrdup(NameStr(field->attname));
        std::string_view name = to_utf8(text, static_cast<int>(strlen(text)));
        ValueWriter* field_writer = make_value_writer(field->atttypid, &depends_on_types);
        fields[count++] = {i, name, make_key(name), field_writer};
        writer->usual |= field_writer->usual;
    }
    writer->descriptor = descriptor;
    writer->fields = {fields, count};
    std::sort(writer->fields.begin(), writer->fields.end(),
              [](const CompositeField& a, const CompositeField& b) {
                  return compare_utf16(a.name, b.name) < 0;
              });
}

PallocBuffer* make_buffer() {
    return new (palloc(sizeof(PallocBuffer))) PallocBuffer(CurrentMemoryContext);
}

void prepare_output(ValueWriter* writer, Oid type) {
    Oid output;
    bool is_varlena;
    getTypeOutputInfo(type, &output, &is_varlena);
    fmgr_info_cxt(output, &writer->output, CurrentMemoryContext);
    writer->dependence = output_dependence(type);
}

struct BuiltinWriter {
    Oid type;
    ValueWriter::Write write;
};

template <void (*Write)(JsonWriter&, Datum)>
void write_with(JsonWriter& json, ValueWriter&, Datum value) {
    Write(json, value);
}

constexpr BuiltinWriter kBuiltinWriters[] = {
    {BOOLOID, write_boolean},
    {INT2OID, write_int2},
    {INT4OID, write_int4},
    {INT8OID, write_int8},
    {FLOAT4OID, write_float4},
    {FLOAT8OID, write_float8},
    {NUMERICOID, write_with<write_numeric>},
    {CASHOID, write_money},
    {TEXTOID, write_varlena_text},
    {VARCHAROID, write_varlena_text},
    {BPCHAROID, write_varlena_text},
    {JSONOID, write_varlena_text},
    {NAMEOID, write_name},
    {CHAROID, write_char},
    {BYTEAOID, write_bytea},
    {JSONBOID, write_jsonb_value},
    {UUIDOID, write_uuid},
    {DATEOID, write_with<write_date>},
    {TIMESTAMPOID, write_with<write_timestamp>},
    {TIMESTAMPTZOID, write_with<write_timestamptz>},
};

}  // namespace

ValueWriter* make_value_writer(Oid type, bool* depends_on_types) {
    check_stack_depth();
    auto* writer = static_cast<ValueWriter*>(palloc0(sizeof(ValueWriter)));
    writer->type = getBaseType(type);
    for (const BuiltinWriter& builtin : kBuiltinWriters) {
        if (builtin.type == writer->type) {
            writer->write = builtin.write;
            if (writer->type == JSONBOID) {
                writer->stack = make_buffer();
            }
            return writer;
        }
    }
    prepare_output(writer, writer->type);
    Oid element = get_element_type(writer->type);
    if (OidIsValid(element)) {
        writer->write = write_array;
        writer->element = make_value_writer(element, depends_on_types);
        writer->usual = writer->element->usual;
        get_typlenbyvalalign(element, &writer->element_length, &writer->element_by_value,
                             &writer->element_alignment);
    } else if (get_typtype(writer->type) == TYPTYPE_COMPOSITE) {
        writer->write = write_composite;
        *depends_on_types = true;
        prepare_composite(writer);
    } else if (writer->output.fn_addr == textout) {  // as that of citext
        writer->write = write_varlena_text;
    } else {
        writer->write = write_output;
        writer->usual = writer->dependence;
    }
    return writer;
}

void write_value(JsonWriter& json, ValueWriter& writer, Datum value) {
    writer.write(json, writer, value);
}

OutputDependence usual_dependence(const ValueWriter& writer) {
    return writer.usual;
}

std::string_view to_utf8(const char* text, int length) {
    if (GetDatabaseEncoding() == PG_UTF8) {
        return {text, static_cast<std::size_t>(length)};
    }
    const char* utf8 = pg_server_to_any(text, length, PG_UTF8);
    return {utf8, utf8 == text ? static_cast<std::size_t>(length) : strlen(utf8)};
}

void write_text(JsonWriter& json, const char* text, int length) {
    json.string(to_utf8(text, length));
}

std::string_view make_key(std::string_view utf8) {
    PallocBuffer* key = make_buffer();
    append_key(*key, utf8);
    return {key->data(), key->size()};
}

}  // namespace auditchain::pg
