// An entry as an exported event: id, timestamp, eventType … payload, as JSON or CSV.
#pragma once

#include "pg/buffer.h"
#include "pg/mapping.h"

namespace auditchain::pg {

enum class EventSyntax : std::uint8_t { json, csv };

struct EventWriter;

// Prepares for rows of a descriptor; palloc'd in the current context.
EventWriter* make_event_writer(const Log& log, const Mapping& mapping, TupleDesc descriptor,
                               EventSyntax syntax);

// Appends the event of a row, UTF-8 and without a line's end: a JSON object, or a record of CSV.
// Leaves garbage in the current context.
void write_event(EventWriter* writer, const Datum* values, const bool* nulls, PallocBuffer* line);

// The names of the fields, as CSV's first line.
const char* csv_header();

// Appends `"name":json` and, unless it is the first of its object, a comma before it.
void append_member(PallocBuffer* out, std::string_view name, std::string_view json);

}  // namespace auditchain::pg
