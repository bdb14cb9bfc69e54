// Writes one value of any PostgreSQL type as canonical JSON: docs/format.md, "Values".
#pragma once

#include "core/payload_writer.h"
#include "pg/buffer.h"
#include "pg/output_settings.h"

namespace auditchain::pg {

using JsonWriter = PayloadWriter<PallocBuffer>;

struct ValueWriter;

// Prepares the writer of a type; palloc'd in the current context. Domains are their base type.
// `depends_on_types` is set when the result holds for a composite type as it is now, so that it
// must be made again when some type changes.
ValueWriter* make_value_writer(Oid type, bool* depends_on_types);

// Writes a value, whatever the session's settings are. Leaves garbage in the current context.
void write_value(JsonWriter& json, ValueWriter& writer, Datum value);

// The settings that write_value would have to change, each time. Who opens a scope of
// enter_output_settings() with them around several values changes them but once.
OutputDependence usual_dependence(const ValueWriter& writer);

// Text of the server's encoding as UTF-8, the same bytes where it is. Error where SQL_ASCII holds
// no UTF-8.
std::string_view to_utf8(const char* text, int length);

// Writes text of the server's encoding as a JSON string.
void write_text(JsonWriter& json, const char* text, int length);

// The key of a member, escaped, as JsonWriter::escaped_key takes it. palloc'd.
std::string_view make_key(std::string_view utf8);

// value_json.cpp. The stack is for the walk to keep its memory in.
void write_jsonb(JsonWriter& json, PallocBuffer& stack, Datum value);

// value_numeric.cpp. Takes numerics of any alignment.
void write_numeric(JsonWriter& json, Datum value);

// value_time.cpp: ISO 8601, UTC, six digits; "infinity" and "-infinity".
void write_date(JsonWriter& json, Datum value);
void write_timestamp(JsonWriter& json, Datum value);
void write_timestamptz(JsonWriter& json, Datum value);

}  // namespace auditchain::pg
