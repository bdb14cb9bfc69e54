// Where keys come from: a file or a command. Nothing here raises an error, as the postmaster would
// not survive it.
#pragma once

#include "pg/backend.h"

namespace auditchain::pg {

// Text of a key, of which nothing may be left behind: erase_key_text() when done.
struct KeyText {
    char bytes[8192];
    std::size_t size;
    operator std::string_view() const { return {bytes, size}; }
};

void erase_key_text(KeyText* text);

// Why there is no key: facts and a next step for the user. Never anything of a key.
struct KeyFault {
    char detail[MAXPGPATH + 256];
    char hint[256];
};

void set_fault(KeyFault* fault, const char* hint, const char* detail, ...)
    pg_attribute_printf(3, 4);

// The settings of one key: at most one of them is not empty.
struct KeySource {
    const char* key;           // "receipt key", as messages name it
    const char* file_setting;  // names of the settings
    const char* command_setting;
    const char* how_to_make;  // a hint
    const char* file;         // their values
    const char* command;
};

bool is_set(const KeySource& source);

// Reads the text of a key; false, with the fault, when that fails. The file must be private to the
// server, as PostgreSQL demands it of ssl_key_file; the command is run by the shell as
// ssl_passphrase_command is, and what it writes to its standard output is the key.
bool read_key_text(const KeySource& source, KeyText* text, KeyFault* fault);

// Whether read_key_text()'s file could be replaced by write_key_file(); the fault, if not.
bool is_key_file_replaceable(const KeySource& source, KeyFault* fault);

// Replaces the key file by another text: after a crash it has the old text or the new one, and when
// this returns the new one is on disk. The old text is overwritten where it stood, as far as the
// file system writes in place. False, with the fault, when that fails.
bool write_key_file(const KeySource& source, const KeyText& text, KeyFault* fault);

}  // namespace auditchain::pg
