// Reads values back out of payloads (docs/format.md): the reverse of value_writer.h.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Reads values of one type.
struct ValueReader;

// palloc'd in the current context. What a domain checks is not checked again: the value was in a
// log.
ValueReader* make_value_reader(Oid type);

// The value that a JSON text, UTF-8 and not null, stands for, palloc'd. Errors where the type does
// not read it. Whether it is written as this text again, is for the caller to see. Settings that
// the output of types depends on are those of payloads.
Datum read_value(ValueReader& reader, std::string_view json);

// Text of the escapes of a JSON string in the server's encoding, palloc'd.
char* unescaped_text(std::string_view escaped);

// The same in UTF-8.
std::string_view unescaped_utf8(std::string_view escaped);

// Errors: a payload is not what auditchain writes.
[[noreturn]] void refuse_payload();

}  // namespace auditchain::pg
