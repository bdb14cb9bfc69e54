// Personal fields of logs: encrypted as their entries are written, and decrypted for who may.
#pragma once

#include "pg/log.h"

extern "C" {
#include <access/tupdesc.h>
#include <fmgr.h>
}

namespace auditchain::pg {

struct PersonalField {
    int index;  // in the row's descriptor, from 0
    const LogColumn* column;
    Oid type;  // of its values: text, varchar, json or jsonb
};

// How the personal fields of rows of one descriptor are found.
struct PersonalPlan {
    const Log* log;
    int subject;  // index of the column that identifies the data subject
    FmgrInfo subject_output;
    std::span<PersonalField> fields;
};

// What a log has declared, as members of payloads.
struct PersonalDeclaration {
    const char* subject;  // nullptr: the log has no personal fields
    ArrayType* fields;    // text[]
};
PersonalDeclaration read_declaration(const Log& log);

// Whether a member of payloads is a personal field.
bool is_personal_member(const Log& log, const char* member);

// The column of the log, or of an archive of it, that identifies data subjects. The log has
// personal fields.
const char* subject_column(const Log& log, Oid relation);

// The cold tables of a log that know the subject's column, which older ones need not;
// InvalidOid stands for archives that are no table. SPI is connected.
List* archive_tables(const Log& log);

// Plans for rows of `descriptor`; nullptr where the log has no personal fields. Errors where one is
// missing. palloc'd in the current context.
PersonalPlan* plan_personal_fields(const Log& log, TupleDesc descriptor);

// The same for rows of a cold table, which may be older than some of the fields, and must have the
// subject's column.
PersonalPlan* plan_archived_fields(const Log& cold, TupleDesc descriptor);

// Whether personal fields may have a type; false also for a domain.
bool can_be_personal(Oid type);

// Whether a type may identify data subjects: its values have one text each. Domains count as what
// they are over.
bool can_identify_subjects(Oid type);

// Encrypts the personal fields in a row's values.
void encrypt_personal_fields(PersonalPlan* plan, Datum* values, const bool* nulls);

// Decrypts a value of a personal field. What was never encrypted comes back as it is; false, where
// the key was destroyed. `subject` may be nullptr.
bool decrypt_personal_field(const char* member, const char* subject, Oid type, Datum value,
                            Datum* result);

// The text that identifies the subject of a row; nullptr: NULL. palloc'd.
const char* subject_of(PersonalPlan* plan, const Datum* values, const bool* nulls);

}  // namespace auditchain::pg
